"""Keys: where they are looked for, how they are stored, and that they show nowhere."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError

from skillforge import systemkeyring
from skillforge.errors import MissingPackage, UsageError
from skillforge.keys import Key, find_key, remove_key, store_key, stored_keys

NAME = "ACME_API_KEY"
CANARY = "canary-" + "4f1d9c27b6"


class Memory(KeyringBackend):
    """A keyring that holds what it is given, as long as the test lasts."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.held:
            raise PasswordDeleteError("no such entry")
        del self.held[service, username]


class Failing(Memory):
    """Fails at everything, and says the secret while it does."""

    def get_password(self, service: str, username: str) -> str | None:
        raise OSError(f"the bus is gone: {CANARY}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"cannot store {password}")


class Forgetful(Memory):
    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class ReadOnly(Memory):
    def set_password(self, service: str, username: str, password: str) -> None:
        raise PermissionError

    def delete_password(self, service: str, username: str) -> None:
        raise PermissionError


class Asking(Memory):
    """Stands for what is not recommended: it would ask for a password on the terminal."""

    priority = 0.6  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        pytest.fail("asked on the terminal")


class Hanging(Memory):
    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        self.released.wait(30)
        return None


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)
    systemkeyring._hung.clear()


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"SKILLFORGE_CONFIG_DIR": str(tmp_path / "config")}


@pytest.fixture
def file(env: dict[str, str]) -> Path:
    return Path(env["SKILLFORGE_CONFIG_DIR"]) / "keys.toml"


@pytest.fixture
def memory() -> Memory:
    backend = Memory()
    keyring.set_keyring(backend)
    return backend


def written(file: Path, text: str, mode: int = 0o600) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_the_environment_wins_then_the_keyring_then_the_file(env: dict[str, str], file: Path, memory: Memory) -> None:
    assert find_key(NAME, env) is None
    written(file, f'{NAME} = "from-file"\n')
    assert find_key(NAME, env) == Key("from-file", NAME, "file")
    memory.set_password("skillforge", NAME, "from-keyring")
    assert find_key(NAME, env) == Key("from-keyring", NAME, "keyring")
    assert find_key(NAME, {**env, NAME: " from-env\n"}) == Key("from-env", NAME, "environment")
    assert find_key(NAME, {**env, NAME: " \n"}) == Key("from-keyring", NAME, "keyring")


def test_a_key_shows_its_value_nowhere() -> None:
    key = Key(CANARY, NAME, "file")
    assert CANARY not in f"{key} {key!r} {[key]} {key!s:>200}"
    assert not hasattr(key, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize("bad", ["two\nlines", "bell\x07", "schlüssel", "a\tb", "\udcff-bytes", "zero\0"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(
    env: dict[str, str], file: Path, memory: Memory, bad: str
) -> None:
    with pytest.raises(UsageError, match=f"environment variable {NAME}") as caught:
        find_key(NAME, {**env, NAME: bad})
    assert bad not in f"{caught.value} {caught.value.hint}"
    memory.set_password("skillforge", NAME, bad)
    with pytest.raises(UsageError, match="in the keyring"):
        find_key(NAME, env)
    memory.held.clear()
    if bad.isprintable() or bad == "a\tb":
        written(file, f"{NAME} = {json.dumps(bad)}\n")
        with pytest.raises(UsageError, match=f"{NAME} is not a key"):
            find_key(NAME, env)


def test_a_stored_key_goes_to_the_keyring_where_there_is_one(env: dict[str, str], file: Path, memory: Memory) -> None:
    assert store_key(NAME, f" {CANARY}\n", env=env) == "keyring"
    assert memory.held == {("skillforge", NAME): CANARY}
    assert CANARY not in file.read_text()
    assert find_key(NAME, env) == Key(CANARY, NAME, "keyring")
    assert stored_keys(env) == [(NAME, "keyring")]
    assert remove_key(NAME, env) == ["keyring"]
    assert (find_key(NAME, env), stored_keys(env), memory.held) == (None, [], {})
    assert not file.exists()


@pytest.mark.parametrize("backend", [NoKeyring, Failing, Forgetful, Asking])
def test_without_a_keyring_that_works_it_goes_to_the_file(
    env: dict[str, str], file: Path, backend: type[KeyringBackend]
) -> None:
    keyring.set_keyring(backend())
    assert store_key(NAME, CANARY, env=env) == "file"
    assert find_key(NAME, env) == Key(CANARY, NAME, "file")
    with pytest.raises(UsageError, match="keyring cannot be used") as caught:
        store_key(NAME, CANARY, where="keyring", env=env)
    assert CANARY not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


def test_of_a_chain_only_what_never_asks_is_used(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    asking, memory = Asking(), Memory()
    monkeypatch.setattr(ChainerBackend, "backends", [asking, memory])
    keyring.set_keyring(ChainerBackend())
    assert store_key(NAME, CANARY, env=env) == "keyring"
    assert memory.held
    assert find_key(NAME, env) == Key(CANARY, NAME, "keyring")


def test_a_keyring_that_hangs_is_given_up_once_and_for_all(
    env: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemkeyring, "READ_S", 0.02)
    hanging = Hanging()
    keyring.set_keyring(hanging)
    written(file, f'{NAME} = "from-file"\n')
    for _ in range(3):
        assert find_key(NAME, env) == Key("from-file", NAME, "file")
    assert hanging.asked == 1
    hanging.released.set()


def test_a_key_is_kept_in_one_place(env: dict[str, str], file: Path, memory: Memory) -> None:
    store_key(NAME, "first-key-1", where="file", env=env)
    store_key(NAME, "second-key-2", where="keyring", env=env)
    assert "first-key-1" not in file.read_text()
    store_key(NAME, "third-key-3", where="file", env=env)
    assert memory.held == {}
    assert (find_key(NAME, env), stored_keys(env)) == (Key("third-key-3", NAME, "file"), [(NAME, "file")])


def test_an_older_key_that_the_keyring_keeps_is_told(env: dict[str, str]) -> None:
    backend = ReadOnly()
    backend.held["skillforge", NAME] = "older-key"
    keyring.set_keyring(backend)
    with pytest.raises(UsageError, match="still holds an older"):
        store_key(NAME, CANARY, where="file", env=env)
    with pytest.raises(UsageError, match="does not let go"):
        remove_key(NAME, env)


def test_the_file_and_its_folder_are_for_the_user_alone(env: dict[str, str], file: Path) -> None:
    before = os.umask(0)
    try:
        store_key(NAME, CANARY, env=env)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.parent.iterdir()) == ["keys.lock", "keys.toml"]


def test_other_keys_stay(env: dict[str, str], file: Path) -> None:
    written(file, "# mine\nkeyring = ['IN_RING']\nlower_case = 'older-key-1'\n")
    store_key(NAME, r'quo"te\back#slash', env=env)
    store_key("THIRD_KEY", "third-key-3", env=env)
    assert remove_key("THIRD_KEY", env) == ["file"]
    assert [find_key(name, env) for name in ("lower_case", NAME, "THIRD_KEY")] == [
        Key("older-key-1", "lower_case", "file"),
        Key(r'quo"te\back#slash', NAME, "file"),
        None,
    ]
    assert "IN_RING" in file.read_text()


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o666, 0o610])
def test_a_file_open_to_others_is_refused_with_the_command_that_mends_it(
    env: dict[str, str], file: Path, mode: int
) -> None:
    written(file, f'{NAME} = "{CANARY}"\n', mode)
    for use in (
        lambda: find_key(NAME, env),
        lambda: store_key(NAME, CANARY, env=env),
        lambda: remove_key(NAME, env),
        lambda: stored_keys(env),
    ):
        with pytest.raises(UsageError, match="open to other users") as caught:
            use()
        assert caught.value.hint == f"chmod 600 {file}"
    file.chmod(0o600)
    assert find_key(NAME, env)


def test_nothing_reaches_the_keyring_when_the_file_is_wrong(env: dict[str, str], file: Path, memory: Memory) -> None:
    written(file, "", 0o644)
    with pytest.raises(UsageError):
        store_key(NAME, CANARY, env=env)
    assert memory.held == {}


def test_a_link_a_folder_and_a_pipe_are_no_key_file(env: dict[str, str], file: Path, tmp_path: Path) -> None:
    real = written(tmp_path / "real.toml", f'{NAME} = "{CANARY}"\n')
    file.parent.mkdir()
    file.symlink_to(real)
    with pytest.raises(UsageError, match="is a link"):
        find_key(NAME, env)
    with pytest.raises(UsageError, match="is a link"):
        store_key(NAME, CANARY, env=env)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(UsageError, match="not a regular file"):
        find_key(NAME, env)
    file.unlink()
    file.mkdir(0o700)
    with pytest.raises(UsageError, match=r"not a regular file|cannot be read"):
        find_key(NAME, env)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(env: dict[str, str], file: Path) -> None:
    written(file, f'{NAME} = "{CANARY}"\n')
    os.chown(file, 12345, 12345)
    with pytest.raises(UsageError, match="another user"):
        find_key(NAME, env)


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME} = {CANARY}",
        f'{NAME} = "{CANARY}',
        f'{NAME} = "x"\n{NAME} = "{CANARY}"',
        f'"{CANARY}" = "x"',
        f'{NAME} = ["{CANARY}"]',
        f'[{NAME}]\nx = "{CANARY}"',
        f'keyring = "{CANARY}"',
        f'keyring = ["{CANARY}"]',
        f"{NAME} = 5 # {CANARY}",
        f'{NAME} = "" # {CANARY}',
        f'x = "\\q{CANARY}"',
        "#" * 1_048_577,
    ],
)
def test_a_damaged_file_is_named_and_no_word_of_it_shown(env: dict[str, str], file: Path, text: str) -> None:
    written(file, text)
    with pytest.raises(UsageError) as caught:
        find_key(NAME, env)
    assert str(file) in str(caught.value)
    assert CANARY not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert caught.value.hint
    with pytest.raises(UsageError):
        store_key(NAME, "another-key", env=env)
    assert file.read_text() == text


def test_a_file_that_is_no_text_is_named(env: dict[str, str], file: Path) -> None:
    written(file, "").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not TOML"):
        find_key(NAME, env)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    env = {"SKILLFORGE_CONFIG_DIR": str(tmp_path / "taken" / "inner")}
    with pytest.raises(UsageError, match="cannot be"):
        store_key(NAME, CANARY, env=env)


@pytest.mark.parametrize("bad", ["", " \n", "short", "two words-here", "two\nlines-here", "ü" * 10, "x" * 4097])
def test_what_is_no_key_is_not_stored(env: dict[str, str], file: Path, bad: str) -> None:
    with pytest.raises(UsageError) as caught:
        store_key(NAME, bad, env=env)
    assert not file.exists()
    assert not bad.strip() or bad not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("name", ["", "1ST", "A-B", "keyring", "a b", "x" * 129, CANARY])
def test_what_is_no_variable_is_refused_without_showing_it(env: dict[str, str], name: str) -> None:
    with pytest.raises(UsageError, match="not a variable's name") as caught:
        store_key(name, CANARY, env=env)
    assert CANARY not in str(caught.value)
    with pytest.raises(UsageError):
        remove_key(name, env)


def test_removing_what_is_not_there_changes_nothing(env: dict[str, str], file: Path) -> None:
    assert remove_key(NAME, env) == []
    assert not file.parent.exists()


def test_stores_at_the_same_time_lose_nothing(env: dict[str, str]) -> None:
    code = (
        "import sys; from skillforge.keys import store_key\n"
        "for i in range(5): store_key(f'KEY_{sys.argv[1]}_{i}', f'value-of-{sys.argv[1]}-{i}', where='file')\n"
    )
    outside = {**os.environ, **env, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    workers = [subprocess.Popen([sys.executable, "-c", code, str(number)], env=outside) for number in range(3)]
    threads = [
        threading.Thread(target=store_key, args=(f"KEY_T_{number}", f"value-of-t-{number}"), kwargs={"env": env})
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert len(stored_keys(env)) == 3 * 5 + 8


def test_without_the_package_the_file_is_used_and_the_extra_is_named(tmp_path: Path) -> None:
    blocked = (
        "import sys, importlib.abc\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'keyring': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
    )
    code = blocked + (
        "from skillforge.errors import MissingPackage\n"
        "from skillforge.keys import *\n"
        f"assert store_key('{NAME}', '{CANARY}') == 'file'\n"
        f"assert find_key('{NAME}').source == 'file'\n"
        f"try: store_key('{NAME}', '{CANARY}', where='keyring')\n"
        "except MissingPackage as exc: print(exc.hint)\n"
    )
    env = {**os.environ, "SKILLFORGE_CONFIG_DIR": str(tmp_path / "config")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert "skillforge-distiller[keyring]" in done.stdout
    assert MissingPackage.exit_code == 2


def test_reading_a_key_from_the_environment_loads_no_keyring() -> None:
    code = "import sys; from skillforge.keys import find_key; find_key('A_KEY'); print('keyring' in sys.modules)"
    env: dict[str, Any] = {**os.environ, "A_KEY": "value-1234"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == "False\n"
