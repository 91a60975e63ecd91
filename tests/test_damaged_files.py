"""Files that are damaged, hostile or in use are named, and never believed."""

import hashlib
import json
import os
import signal
import struct
import time
import zipfile

import numpy as np
import pytest
import torch

import evolve
from evolution import checkpoint
from evolution.atomic_file import COMMENT, DIGEST, read_json, read_npz, write_json, write_npz
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.experiment import resume
from evolution.folder_lock import locked
from evolution.individual import Individual, pack, unpack
from evolution.result import read_champions, solved_at
from forked import CONTEXT, Forked
from paper.table_s2 import experiment


def individuals(number=3):
    chance = np.random.default_rng(1)
    return [
        Individual(
            chance.normal(size=5).astype(np.float32),
            float(n),
            n == 1,
            chance.normal(size=(n, 2)),
            sensitivity=None,
        )
        for n in range(number)
    ]


@pytest.fixture
def champions(tmp_path):
    path = tmp_path / "champions.npz"
    write_npz(path, pack("champion", individuals()))
    return path


def damaged(content, chance, number):
    """Copies of a file's content: cut short, with a flipped bit, with a changed stretch, with zeros."""
    for _ in range(number):
        at, kind = int(chance.integers(len(content))), chance.integers(4)
        changed = bytearray(content)
        if kind == 0:
            changed = changed[:at]
        elif kind == 1:
            changed[at] ^= 1 << chance.integers(8)
        elif kind == 2:
            changed[at : at + 8] = chance.bytes(8)
        else:
            changed[at:] = bytes(len(changed) - at)
        if bytes(changed) != content:
            yield bytes(changed)


def test_a_damaged_npz_is_named_and_never_read(champions):
    whole = champions.read_bytes()
    cases = [whole[:size] for size in range(0, len(whole), 97)]
    cases += list(damaged(whole, np.random.default_rng(2), 400))
    for case in cases:
        champions.write_bytes(case)
        with pytest.raises(ValueError, match=r"champions\.npz is damaged: "):
            read_champions(champions)
    assert len(cases) > 400


def test_numpy_reads_what_is_written_and_the_other_way_round(champions, tmp_path):
    with np.load(champions) as file:
        again = unpack("champion", file)
    np.savez(tmp_path / "plain.npz", **{name: np.array(a) for name, a in pack("champion", again).items()})
    for ours, theirs in zip(read_champions(champions), read_champions(tmp_path / "plain.npz"), strict=True):
        np.testing.assert_array_equal(ours.genome, theirs.genome)
        np.testing.assert_array_equal(ours.experiences, theirs.experiences)
        assert ours.fitness == theirs.fitness
        assert ours.sensitivity is theirs.sensitivity is None


def sign(path):
    """Give an archive the checksum that it should have."""
    content = path.read_bytes()
    assert content[-DIGEST - len(COMMENT) : -DIGEST] == COMMENT
    path.write_bytes(content[:-DIGEST] + hashlib.sha256(content[:-DIGEST]).hexdigest().encode())


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
        file.comment = COMMENT + b"0" * DIGEST
    sign(path)


def header(description):
    text = repr(description).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


HUGE = header({"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
FEW = header({"descr": "<f4", "fortran_order": False, "shape": (2,)})
OBJECTS = header({"descr": "|O", "fortran_order": False, "shape": (1,)})


@pytest.mark.parametrize(
    ("members", "compression", "message"),
    [
        ([("a.npy", HUGE + bytes(8))], zipfile.ZIP_STORED, "too few or too many bytes"),
        ([("a.npy", FEW + bytes(800))], zipfile.ZIP_STORED, "too few or too many bytes"),
        ([("a.npy", OBJECTS + b"cos\nsystem\n(S'true'\ntR.")], zipfile.ZIP_STORED, "object"),
        ([("a.npy", FEW + bytes(2**24))], zipfile.ZIP_DEFLATED, "compressed members"),
        ([("a.npy", FEW + bytes(8)), ("a.npy", FEW + bytes(8))], zipfile.ZIP_STORED, "one name"),
        ([("a.npy", b"\x93NUMPY\x03\x00" + bytes(80))], zipfile.ZIP_STORED, "format"),
        ([("a.npy", b"")], zipfile.ZIP_STORED, "damaged"),
    ],
    ids=["huge", "longer", "pickle", "bomb", "twice", "version", "empty"],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_file_with_the_right_checksum_is_refused(tmp_path, members, compression, message):
    archive(tmp_path / "hostile.npz", members, compression)
    with pytest.raises(ValueError, match=message):
        read_npz(tmp_path / "hostile.npz")


def test_every_changed_character_of_a_result_is_found(tmp_path):
    path = tmp_path / "result.json"
    content = {
        "command": "x",
        "record": {"seed": 1},
        "runs": [{"run": 0, "solved_at": 512, "fitness": -0.25}],
    }
    write_json(path, content, indent=1)
    assert read_json(path) == content
    whole = path.read_text()
    missed = []
    for at, character in enumerate(whole):
        if character.isspace():
            continue
        path.write_text(whole[:at] + ("8" if character != "8" else "9") + whole[at + 1 :])
        try:
            solved_at(path)
        except ValueError as error:
            assert "result.json is damaged" in str(error)
        else:
            missed.append(at)
    assert not missed
    for size in range(0, len(whole) - 1, 7):
        path.write_text(whole[:size])
        with pytest.raises(ValueError, match=r"result\.json is damaged"):
            read_json(path)


@pytest.fixture
def search(tmp_path):
    """A small experiment with two checkpoints, and the evaluations that each has."""
    small = experiment(RecurrentParity(), "control", runs=2, max_evaluations=400)
    lockstep, path, kept = small.lockstep(), tmp_path / "checkpoint.npz", []
    for number, _ in enumerate(lockstep.run()):
        if number in (20, 40):
            checkpoint.save(path, lockstep.state(), small.record())
            kept.append(lockstep.evaluations)
        if number == 40:
            break
    return small, path, kept


def test_any_damage_to_a_checkpoint_leads_to_the_one_before(search, capsys):
    small, path, (before, newest) = search
    whole, old = path.read_bytes(), checkpoint.previous(path).read_bytes()
    assert resume(small, path)[0].evaluations == newest
    for case in damaged(whole, np.random.default_rng(3), 40):
        path.write_bytes(case)
        checkpoint.previous(path).write_bytes(old)
        assert resume(small, path)[0].evaluations == before
        assert f"damaged checkpoint {path}" in capsys.readouterr().err
        assert path.with_suffix(".damaged.npz").read_bytes() == case  # nothing is lost
        assert not path.exists()


def test_a_signed_state_that_does_not_fit_leads_to_the_one_before(search):
    small, path, (before, _) = search
    whole, _ = read_npz(path)
    path.unlink()
    names = [name for name, array in whole.items() if name.startswith("0.") and array.size]
    assert len(names) > 10
    for name in names:
        state = {other: each for other, each in whole.items() if other not in ("record", name)}
        for changed in ({}, {name: whole[name].ravel()[:-1]}, {name: np.full((2, 3), 7, np.int64)}):
            if name == "0.solved_at" and not changed:
                continue
            checkpoint.save(path, state | changed, small.record())
            assert resume(small, path)[0].evaluations == before, (name, changed)
            assert not path.exists(), (name, changed)


def test_a_signed_state_of_another_network_leads_to_the_one_before(search):
    small, path, (before, _) = search
    other = experiment(RecurrentParity(outputs=1), "control", runs=2, max_evaluations=400).lockstep()
    next(other.run())
    path.unlink()
    checkpoint.save(path, other.state(), small.record())
    assert resume(small, path)[0].evaluations == before


def test_with_damaged_checkpoints_only_nothing_is_begun_anew(search):
    small, path, _ = search
    for each in (path, checkpoint.previous(path)):
        each.write_bytes(each.read_bytes()[:-1])
    with pytest.raises(ValueError, match="remove it to begin anew"):
        resume(small, path)
    assert path.exists()


@pytest.mark.parametrize("error", [MemoryError("too large"), OSError(5, "Input/output error")])
@pytest.mark.parametrize("place", ["evolution.checkpoint.read_npz", "evolution.atomic_file._read_array"])
def test_a_checkpoint_that_cannot_be_read_now_is_not_called_damaged(search, place, error, monkeypatch):
    small, path, (_, newest) = search

    def fail(*arguments):
        raise error

    with monkeypatch.context() as changed:
        changed.setattr(place, fail)
        with pytest.raises(type(error), match=str(error.args[-1])):
            resume(small, path)
    assert resume(small, path)[0].evaluations == newest


@pytest.mark.parametrize("error", [MemoryError("CUDA out of memory"), torch.OutOfMemoryError("CUDA")])
def test_a_checkpoint_for_which_memory_is_too_small_is_not_called_damaged(search, error):
    small, path, (_, newest) = search

    def fail(state):
        raise error

    with pytest.raises(type(error)):
        checkpoint.restore(path, small.record(), fail)
    assert resume(small, path)[0].evaluations == newest


def test_checkpoints_of_two_experiments_are_not_swapped(search):
    _, path, _ = search
    other = experiment(RecurrentParity(), "control", runs=2, max_evaluations=401)
    with pytest.raises(ValueError, match="max_evaluations: 400 there, 401 now"):
        resume(other, path)


def test_a_full_disk_is_named_and_the_search_goes_on(search, tmp_path, capsys, monkeypatch):
    small, path, _ = search
    whole = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evolution.atomic_file.os.fsync", full)
    saver = checkpoint.Saver(path, small.record())
    saver.save(small.lockstep().state())
    saver.close()
    assert f"No space left on device: '{path}'" in capsys.readouterr().err
    assert path.read_bytes() == whole
    assert not list(tmp_path.glob("*.part"))


def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path, monkeypatch, capsys):
    arguments = ["recurrent-parity", "--operator", "control", "--runs", "2", "--max-evaluations", "1000"]
    assert evolve.main([*arguments, "--output", str(tmp_path / "usual")]) == 0
    calls, write = [], os.pwrite

    def full_twice(handle, content, offset):
        calls.append(offset)
        if 2 < len(calls) < 5:
            raise OSError(28, "No space left on device")
        return write(handle, content[:40], offset)  # and less than it was given

    monkeypatch.setattr("evolution.history.os.pwrite", full_twice)
    assert evolve.main([*arguments, "--output", str(tmp_path / "full")]) == 0
    assert "history.jsonl: No space left on device" in capsys.readouterr().err
    usual, full = ((tmp_path / name / "history.jsonl").read_bytes() for name in ("usual", "full"))
    assert usual == full


class Full:
    """Standard error in a file on a disk that is full."""

    def write(self, text):
        raise OSError(28, "No space left on device")

    def flush(self):
        self.write("")


@pytest.mark.parametrize("listener", [Full(), None], ids=["full", "closed"])
def test_a_search_that_nobody_hears_goes_on(listener, tmp_path, monkeypatch):
    calls, write = [], os.pwrite

    def full_twice(handle, content, offset):
        calls.append(offset)
        return Full().write("") if 2 < len(calls) < 5 else write(handle, content, offset)

    monkeypatch.setattr("evolution.history.os.pwrite", full_twice)
    monkeypatch.setattr("sys.stderr", listener)
    arguments = ["recurrent-parity", "--operator", "control", "--runs", "1", "--max-evaluations", "2000"]
    assert evolve.main([*arguments, "--output", str(tmp_path)]) == 0
    assert (tmp_path / "champion.npz").exists()
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) > 5


def test_only_what_a_killed_process_left_is_removed(tmp_path):
    drafts = [tmp_path / "checkpoint.npz.0123abcd.part", tmp_path / "record.json.00000000.part"]
    others = [tmp_path / "thesis.pdf.part", tmp_path / "a.download.part"]
    for file in (*drafts, *others):
        file.write_text("half of it")
    (tmp_path / "folder.0123abcd.part").mkdir()
    with locked(tmp_path):
        assert not any(draft.exists() for draft in drafts)
    assert all(other.exists() for other in others)


def test_a_damaged_history_is_named_and_left_alone(tmp_path, capsys):
    arguments = ["recurrent-parity", "--operator", "control", "--runs", "2", "--max-evaluations", "600"]
    arguments += ["--output", str(tmp_path)]
    assert evolve.main(arguments) == 0
    history = tmp_path / "history.jsonl"
    whole = history.read_bytes()
    history.write_bytes(whole + b'{"run": 0, "eval')  # after the checkpoint, by a killed process
    assert evolve.main(arguments) == 0
    assert history.read_bytes() == whole
    for damage in (whole.replace(b"500", b"501", 1), whole[:-5], b"{}\n", b""):
        history.write_bytes(damage)
        assert evolve.main(arguments) == 2
        assert f"{history} is damaged" in capsys.readouterr().err
        assert history.read_bytes() == damage


def hold(folder, ready, leave):
    with locked(folder):
        ready.set()
        leave.wait(60)


def test_a_folder_in_use_is_refused_at_once_naming_the_process(tmp_path, capsys):
    ready, leave = CONTEXT.Event(), CONTEXT.Event()
    other = CONTEXT.Process(target=hold, args=(tmp_path, ready, leave))
    other.start()
    assert ready.wait(60)
    began = time.monotonic()
    assert evolve.main(["recurrent-parity", "--runs", "1", "--output", str(tmp_path)]) == 2
    assert time.monotonic() - began < 5
    assert f"{tmp_path} is in use by process {other.pid}" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["lock"]
    other.kill()  # the system lets go of the folder
    other.join()
    (tmp_path / "checkpoint.npz.0123abcd.part").write_bytes(b"a draft of it")
    with locked(tmp_path):
        assert os.listdir(tmp_path) == ["lock"]


def test_sigterm_saves_like_an_interrupt(tmp_path):
    arguments = ["recurrent-parity", "--runs", "2", "--operator", "control", "--output", str(tmp_path)]
    process = Forked("import evolve, sys; sys.exit(evolve.main())", *arguments)
    history = tmp_path / "history.jsonl"
    while not (history.exists() and history.stat().st_size):
        time.sleep(0.02)
        assert process.poll() is None, process.wait()
    process.send_signal(signal.SIGTERM)
    status, _, errors = process.wait()
    assert status == 130
    assert "the same command goes on" in errors
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    small = experiment(RecurrentParity(), "control", runs=2)
    lockstep, _ = resume(small, tmp_path / "checkpoint.npz")
    for line in lines:
        assert lockstep.replicates[line["run"]].evaluations >= line["evaluations"]
