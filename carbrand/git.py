"""Git, as far as it is asked: revisions, and a commit on a branch that is not checked out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carbrand.errors import UserError

# For commits where nobody has told Git who they are, as in CI.
NOBODY = {"name": "carbrand", "email": "carbrand@localhost"}


class GitFailed(UserError):
    """Git said no; `reason` is what it said."""

    def __init__(self, arguments: Sequence[str], reason: str) -> None:
        super().__init__(f"git {arguments[0]} failed: {reason or 'it did not say why'}")
        self.reason = reason


@dataclass(frozen=True)
class Repository:
    """The repository that a project lies in, in a folder of it perhaps; paths are the project's."""

    project: Path

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """What Git prints. Raises GitFailed, or UserError where there is no Git."""
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self.project,
                # A prompt for a password would wait for ever.
                env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"} | dict(env or {}),
                capture_output=True,
                # As Git keeps names, whatever the locale.
                encoding="utf-8",
                errors="surrogateescape",
                check=False,
            )
        except FileNotFoundError:
            raise UserError("git is not to be found. Install it.") from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if not line.startswith("hint:")]
            raise GitFailed(arguments, " ".join(" ".join(lines).split()))
        return done.stdout

    def find(self, name: str) -> str | None:
        """The full hash of a commit or tree, or None where Git knows none of that name."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()
        except GitFailed:
            return None

    def read(self, commit: str, path: str) -> bytes | None:
        """A file of a commit as Git keeps it, or None where it has none there.

        No filter, text conversion or diff driver has a say.
        """
        try:
            # `./` starts at the project, which may be a folder of the repository.
            file = subprocess.run(
                ["git", "cat-file", "blob", f"{commit}:./{path}"],
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            return None
        return file.stdout if file.returncode == 0 else None

    def changed(self) -> list[str]:
        """Files that Git knows and that are not as in HEAD, staged or not."""
        listed = self.run("diff", "--name-only", "--relative", "--no-renames", "-z", "HEAD")
        return [path for path in listed.split("\0") if path]

    def tracked(self, pattern: str) -> list[str]:
        """Files that Git knows, by a pattern such as `*.dvc`."""
        listed = self.run("ls-files", "-z", "--", pattern)
        return [path for path in listed.split("\0") if path]

    def snapshot(self, paths: Sequence[str]) -> str:
        """The tree that a commit of `paths`, as they lie there, would have: its hash.

        Neither the index nor the working tree is touched.
        """
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder) / "index"
            there = self.project / self.run("rev-parse", "--git-path", "index").strip()
            if there.exists():  # Git knows by it which files it need not read again
                shutil.copy2(there, index)
            env = {"GIT_INDEX_FILE": str(index)}
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
        """Push the branch, unless somebody was faster: a name stands for its content."""
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

    def _commit(self, tree: str, message: str) -> str:
        return self.run("commit-tree", tree, "-p", "HEAD", "-m", message, env=self._who()).strip()

    def _exists(self, path: str) -> bool:
        """Whether Git would find anything there: it refuses a path of which it knows nothing."""
        return (self.project / path).exists() or bool(self.run("ls-files", "--", path))

    def _who(self) -> dict[str, str]:
        env = {}
        for role in ("author", "committer"):
            try:
                self.run("var", f"GIT_{role.upper()}_IDENT")
            except GitFailed:
                for key, value in NOBODY.items():
                    env[f"GIT_{role.upper()}_{key.upper()}"] = value
        return env
