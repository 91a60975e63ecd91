"""The paper's experiments: their settings, figures and claims."""
