"""Git: reading what commits hold, and committing on a branch that is not checked out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from carbrand.node.errors import UserError

# The author of commits where no identity is configured, as in CI.
_DEFAULT_IDENTITY = {"name": "carbrand", "email": "carbrand@localhost"}
# Variables that Git sets for its hooks to name the repository it is at work in: those listed by
# `git rev-parse --local-env-vars`, without those that hold a user's settings.
_OF_A_HOOK = frozenset(
    [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_GRAFT_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
    ]
)


class GitFailed(UserError):
    """Git failed; `reason` is its message."""

    def __init__(self, arguments: Sequence[str], reason: str) -> None:
        super().__init__(f"git {arguments[0]} failed: {reason or 'it did not say why'}")
        self.reason = reason


def foreign_variables(project: Path) -> set[str]:
    """Variables of the environment that name a repository, where the project lies in its own.

    A hook, `git rebase --exec` or `git bisect run` sets them: Git would take the folder that it is
    called in for the root of that repository. Without a `.git` above, they are the user's own.
    """
    here = project.resolve()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return set()
    return set(os.environ) & _OF_A_HOOK


def stay_in_own_repository(project: Path) -> None:
    """Remove `foreign_variables` from this process, in which DVC and GTO call Git themselves."""
    for name in foreign_variables(project):
        del os.environ[name]


@dataclass(frozen=True)
class Repository:
    """The repository that a project lies in, in a folder of it perhaps; paths are the project's."""

    project: Path

    @cached_property
    def prefix(self) -> str:
        """The project's folder below the root, as `ml/cars`; empty where it is the root."""
        return self.run("rev-parse", "--show-prefix").rstrip("\n").rstrip("/")

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """The output of a command of Git. Raises GitFailed, or UserError where there is no Git."""
        done = self._start(arguments, env or {})
        if done.returncode != 0:
            lines = [
                line for line in _text(done.stderr).splitlines() if not line.startswith("hint:")
            ]
            raise GitFailed(arguments, " ".join(" ".join(lines).split()))
        return _text(done.stdout)

    def entries(self, *arguments: str) -> list[str]:
        """The output of a command with `-z`, split into its entries."""
        return [entry for entry in self.run(*arguments).split("\0") if entry]

    def find(self, name: str) -> str | None:
        """The full hash of a commit or tree, or None where Git knows none of that name."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()
        except GitFailed:
            return None

    def read(self, commit: str, path: str) -> bytes | None:
        """A file of a commit as Git keeps it, or None where it has none there.

        No filter, text conversion or diff driver is applied.
        """
        # `./` starts at the project, which may be a folder of the repository.
        try:
            file = self._start(("cat-file", "blob", f"{commit}:./{path}"), {})
        except UserError:
            return None
        return file.stdout if file.returncode == 0 else None

    def changed(self) -> list[str]:
        """Files that Git knows and that are not as in HEAD, staged or not."""
        return self.entries("diff", "--name-only", "--relative", "--no-renames", "-z", "HEAD")

    def tracked(self, pattern: str) -> list[str]:
        """Files that Git knows, by a pattern such as `*.dvc`."""
        return self.entries("ls-files", "-z", "--", pattern)

    def snapshot(self, paths: Sequence[str]) -> str:
        """The tree that a commit of `paths`, as they lie there, would have: its hash.

        Neither the index nor the working tree is touched. What is staged outside the project, in
        other folders of the repository, is not in it.
        """
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder) / "index"
            there = self.project / self.run("rev-parse", "--git-path", "index").strip()
            if there.exists():  # Git knows by it which files it need not read again
                shutil.copy2(there, index)
            env = {"GIT_INDEX_FILE": str(index)}
            if self.prefix:
                self.run("reset", "--quiet", "HEAD", "--", ":(top)", ":(exclude).", env=env)
            self.run("add", "--all", "--", *(p for p in paths if self._exists(p)), env=env)
            return self.run("write-tree", env=env).strip()

    def commit_on(self, branch: str, tree: str, message: str) -> str:
        """The commit at the tip of `branch`: HEAD's child with that tree, or what is there.

        There, that is here or on the remote, when somebody fetched it last.
        """
        reference = f"refs/heads/{branch}"
        there = self.find(reference)
        if there:
            return there
        proposed = self.find(f"refs/remotes/{self.remote()}/{branch}")
        commit = proposed or self._commit(tree, message)
        # The empty last argument: only where there is none yet.
        self.run("update-ref", reference, commit, "")
        return commit

    def bundle(self, file: Path, branch: str) -> None:
        """Write the branch, as far as it goes beyond HEAD, into a file that `git fetch` reads."""
        self.run("bundle", "create", "--quiet", str(file.resolve()), f"HEAD..refs/heads/{branch}")

    def remote(self) -> str | None:
        """Where branches are pushed to: `origin`, or the only other one there is."""
        names = self.run("remote").split()
        if "origin" in names:
            return "origin"
        return names[0] if len(names) == 1 else None

    def push(self, remote: str, branch: str) -> None:
        """Push the branch, unless the remote has it already: a name stands for its content."""
        try:
            self.run("push", "--quiet", remote, f"refs/heads/{branch}:refs/heads/{branch}")
        except GitFailed:
            if not self.run("ls-remote", "--heads", remote, f"refs/heads/{branch}"):
                raise

    def push_tags(self, pattern: str) -> None:
        """Push all tags of that pattern, those that an interrupted run left unpushed among them."""
        remote = self.remote()
        if remote is None:
            raise UserError(
                "There is no Git remote `origin` to push tags to. `git remote add` one."
            )
        tags = self.run("for-each-ref", "--format=%(refname)", f"refs/tags/{pattern}").split()
        if tags:
            self.run("push", "--quiet", remote, *tags)

    def _start(
        self, arguments: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        """Git in the project's folder, to its end. Raises UserError where there is no Git."""
        foreign = foreign_variables(self.project)
        own = {name: value for name, value in os.environ.items() if name not in foreign}
        try:
            return subprocess.run(
                ["git", *arguments],
                cwd=self.project,
                # A prompt, for a password or of a partial clone, would wait for ever.
                env=own | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"} | dict(env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise UserError("git is not to be found. Install it.") from None

    def _commit(self, tree: str, message: str) -> str:
        return self.run(
            "commit-tree", tree, "-p", "HEAD", "-m", message, env=self._identity()
        ).strip()

    def _exists(self, path: str) -> bool:
        """Whether Git would find anything there: it refuses a path of which it knows nothing."""
        return (self.project / path).exists() or bool(self.run("ls-files", "--", path))

    def _identity(self) -> dict[str, str]:
        """Variables for a commit; empty where the user configured who they are."""
        env = {}
        for role in ("author", "committer"):
            try:
                self.run("var", f"GIT_{role.upper()}_IDENT")
            except GitFailed:
                for key, value in _DEFAULT_IDENTITY.items():
                    env[f"GIT_{role.upper()}_{key.upper()}"] = value
        return env


def _text(output: bytes) -> str:
    """Decoded as UTF-8, as Git keeps names, whatever the locale."""
    return output.decode("utf-8", "surrogateescape")
