import math
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_safemaze  # noqa: F401

ID = "safemaze/RecurrentParity-v0"
SIXTEEN = [f"{number:04b}" for number in range(16)]


def make(**arguments):
    return gym.make(ID, **arguments).unwrapped


def read(env, **reset):
    """Run one episode, answering always even; return the bits shown and the last step's results."""
    observation, _ = env.reset(**reset)
    shown, over = [], False
    while not over:
        shown.append(observation[0])
        observation, reward, over, _, info = env.step(0)
    assert observation[0] == 0.0  # nothing is left to be shown
    return "".join(str(int(bit)) for bit in shown), reward, info


def test_sixteen_lanes_show_the_sixteen_strings_in_order_in_every_episode():
    envs = gym.make_vec(ID, num_envs=16, order="sequential")
    observations, _ = envs.reset()
    for _ in range(3):
        shown = [observations]
        for _ in range(4):
            observations, _, terminated, _, _ = envs.step(np.zeros(16, dtype=int))
            shown.append(observations)
        assert terminated.all()
        strings = np.stack(shown[:4], axis=1)[..., 0].astype(int)
        assert ["".join(map(str, string)) for string in strings] == SIXTEEN
        observations, *_ = envs.step(np.zeros(16, dtype=int))  # NextStep: this step only starts again


def test_one_environment_counts_and_a_seed_starts_again():
    env = make(order="sequential", length=3)
    strings = [read(env)[0] for _ in range(9)]
    assert strings == [f"{number:03b}" for number in [0, 1, 2, 3, 4, 5, 6, 7, 0]]
    assert [read(env, seed=5)[0], read(env)[0], read(env, seed=5)[0]] == ["000", "001", "000"]


def test_fewer_lanes_than_strings_count_together():
    envs = gym.make_vec(ID, num_envs=3, length=2, order="sequential", autoreset_mode="Disabled")
    numbers = []
    for _ in range(3):
        _, info = envs.reset()
        numbers += (info["sequence"] @ [2, 1]).tolist()
    assert numbers == [0, 1, 2, 3, 0, 1, 2, 3, 0]


@pytest.mark.parametrize("string", SIXTEEN)
def test_the_label_is_the_parity_and_only_the_last_answer_counts(string):
    env = make()
    for bits in (int(string, 2), [int(bit) for bit in string]):
        for answer in (0, 1):
            _, info = env.reset(options={"number" if isinstance(bits, int) else "sequence": bits})
            assert "".join(map(str, info["sequence"])) == string
            assert info["label"] == string.count("1") % 2
            assert info["behavior"].tolist() == [0.5] and (info["fitness"], info["solved"]) == (0.0, False)
            for step in range(4):
                action = answer if step == 3 else 1 - answer
                _, reward, terminated, truncated, info = env.step(action)
                assert terminated == (step == 3) and not truncated
                assert info["behavior"].tolist() == [float(action)]
                right = terminated and answer == string.count("1") % 2
                assert (reward, info["fitness"], info["solved"]) == (float(right), float(right), right)


@pytest.mark.parametrize("length", [1, 2, 4, 9, 70, 1100])
def test_remembering_one_bit_is_enough_and_nothing_less_is(length):
    right, last_bit = 0, 0
    env = make(length=length)
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        assert info["sequence"].shape == (length,)
        odd, over = 0, False
        while not over:
            odd ^= int(observation[0])
            last = int(observation[0])
            observation, _, over, _, info = env.step(odd)
        right += info["solved"]
        last_bit += last == info["label"]
    assert right == 20
    assert last_bit == 20 if length == 1 else last_bit < 20


def test_answering_the_last_bit_is_right_for_half_of_the_strings():
    envs = gym.make_vec(ID, num_envs=16, order="sequential")
    observations, _ = envs.reset()
    for _ in range(4):
        observations, rewards, *_ = envs.step(observations[:, 0].astype(int))
    assert rewards.sum() == 8


def test_random_strings_come_from_the_seed_and_are_all_drawn():
    env = make()
    read(env, seed=3)
    first = [read(env)[0] for _ in range(200)]
    read(env, seed=3)
    assert [read(env)[0] for _ in range(200)] == first
    assert set(first) == set(SIXTEEN)


def test_fitness_of_probabilities_is_the_log_likelihood():
    random = np.random.default_rng(0)
    weights = random.uniform(0.01, 1.0, (16, 2))
    envs = gym.make_vec(ID, num_envs=16, order="sequential", action_mode="probabilities")
    envs.reset()
    for _ in range(3):
        _, rewards, *_ = envs.step(random.uniform(size=(16, 2)))
        assert not rewards.any()
    _, rewards, terminated, _, info = envs.step(weights)
    expected = [
        math.log(pair[string.count("1") % 2] / sum(pair))
        for string, pair in zip(SIXTEEN, weights, strict=True)
    ]
    assert terminated.all()
    np.testing.assert_allclose(info["fitness"], expected, rtol=1e-6)
    np.testing.assert_array_equal(rewards, info["fitness"])
    np.testing.assert_array_equal(info["solved"], np.array(expected) > math.log(0.5))
    np.testing.assert_allclose(info["behavior"][:, 0], weights[:, 1] / weights.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    "weights, right",
    [((0, 1), 1.0), ((1, 0), 1.1754944e-38), ((0, 0), 0.5), ((-3, 7), 1.0), ((5, 1), 0.5)],
)
def test_probabilities_are_clamped_and_their_logarithm_stays_finite(weights, right):
    env = make(length=1, action_mode="probabilities")
    env.reset(options={"number": 1})
    _, reward, *_, info = env.step(np.array(weights, dtype=np.float32))
    assert reward == pytest.approx(math.log(right))
    assert info["solved"] == (right > 0.5)


def test_each_lane_can_be_given_its_own_string():
    envs = gym.make_vec(ID, num_envs=4, autoreset_mode="Disabled")
    _, info = envs.reset(options={"number": np.array([5, 0, 15, 8])})
    assert info["sequence"].tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]
    mask = np.array([False, True, False, True])
    _, info = envs.reset(options={"sequence": [0, 1, 1, 1], "reset_mask": mask})
    assert info["sequence"].tolist() == [[0, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]]
    assert info["label"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("number", [2**63, 2**63 + 1, np.uint64(2**64 - 1), 2**64, 2**70 - 1, 5])
def test_numbers_of_any_length_are_written_in_bits(number):
    env = make(length=70)
    _, info = env.reset(options={"number": number})
    assert "".join(map(str, info["sequence"])) == f"{int(number):070b}"
    envs = gym.make_vec(ID, num_envs=2, length=70)
    _, info = envs.reset(options={"number": [number, 1]})
    assert "".join(map(str, info["sequence"][0])) == f"{int(number):070b}"
    with pytest.raises(ValueError, match=r"\[0, 2\*\*70\).*1180591620717411303424"):
        env.reset(options={"number": 2**70})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"number": 16}, r"'number'.*\[0, 2\*\*4\).*16"),
        ({"number": -1}, "'number'"),
        ({"number": 1.0}, "'number'"),
        ({"number": True}, "'number'"),
        ({"number": [[1, 2], [3]]}, "'number'"),
        ({"number": [1, 2, 3]}, "'number'"),
        ({"sequence": [0, 1]}, r"'sequence'.*\(4,\)"),
        ({"sequence": [0, 1, 2, 0]}, "'sequence'"),
        ({"sequence": "0101"}, "'sequence'"),
        ({"sequence": [0.0, 1.0, 0.0, 1.0]}, "'sequence'"),
        ({"sequence": [0, 1, 1, 0], "number": 3}, "both"),
    ],
)
def test_bad_strings_are_refused_and_change_nothing(options, message):
    env = make()
    _, before = env.reset(seed=1)
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)
    assert np.array_equal(env.lanes.info()["sequence"][0], before["sequence"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"length": 0}, "length"),
        ({"length": 4.0}, "length"),
        ({"order": "backwards"}, "random.*sequential.*'backwards'"),
        ({"action_mode": "logits"}, "discrete.*probabilities.*'logits'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    for maker in (lambda: make(**arguments), lambda: gym.make_vec(ID, num_envs=2, **arguments)):
        with pytest.raises(ValueError, match=message):
            maker()


@pytest.mark.parametrize("length", [1, 4, 16, 17, 5000])
def test_pictures_of_strings_of_any_length_show_the_current_bit(length):
    env = make(length=length, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = []
    for _ in range(min(length, 40)):
        pictures.append(env.render())
        assert (pictures[-1] == (150, 186, 232)).all(axis=2).any()
        env.step(0)
    assert max(picture.shape[1] for picture in pictures) < 1200
    assert length > 16 or all((one != two).any() for one, two in pairwise(pictures))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 12), st.sampled_from(["discrete", "probabilities"]), st.integers(0, 2**32 - 1))
def test_random_answers_keep_to_the_rules(length, action_mode, seed):
    """10 examples of 100 steps in 10 lanes: 10,000 steps."""
    envs = gym.make_vec(ID, num_envs=10, length=length, action_mode=action_mode, autoreset_mode="SameStep")
    envs.action_space.seed(seed)
    observations, info = envs.reset(seed=seed)
    keys = set(info)
    for step in range(1, 101):
        time = (step - 1) % length
        assert np.array_equal(observations[:, 0], info["sequence"][:, time])
        label = np.array([sum(bits) % 2 for bits in info["sequence"].tolist()])
        actions = envs.action_space.sample()
        observations, rewards, terminated, truncated, info = envs.step(actions)
        assert terminated.all() == terminated.any() == (time == length - 1) and not truncated.any()
        last = info["final_info"] if terminated.all() else info
        assert keys <= set(last) and np.array_equal(last["fitness"], rewards)
        odd = actions == 1 if action_mode == "discrete" else actions[:, 1] > actions[:, 0]
        assert np.array_equal(last["solved"], terminated & (odd == label))
        assert (rewards <= (1.0 if action_mode == "discrete" else 0.0)).all() and np.isfinite(rewards).all()
