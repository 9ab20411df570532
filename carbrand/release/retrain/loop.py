"""Scheduled retraining as one function, the same in CI and by hand, safe to repeat after any step.

A branch is named after its content, so the same photos lead to the same branch, however often and
wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock, is_inside
from carbrand.node.wording import one_line
from carbrand.pipeline.git import Repository
from carbrand.pipeline.locks import TEMPORARY, alone
from carbrand.release.gate.comparison import Comparison, compare_models
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.gate_params import GateFiles, GateParams
from carbrand.release.gate.ledger import record
from carbrand.release.gate.model_results import read_current
from carbrand.release.gate.pairing import FindFile
from carbrand.release.gate.revision import find_revision
from carbrand.release.retrain.dvc_commands import Dvc, find_imported
from carbrand.release.retrain.forecast import changes_nothing, describe_forecast, make_forecast
from carbrand.release.retrain.summary import make_title, write_description
from carbrand.release.tracked import check_tracked

BRANCHES = "retrain/"
# Run as a command, since the library does not import the stages.
PIPELINE = "stages"


@dataclass(frozen=True)
class Plan:
    """The options and paths of a retraining.

    photos: the folder of photos. written: the pipeline's outputs, some of which are in Git.
    against: the revision to compare with, None for the main branch. push: whether the new branch is
    pushed to Git's remote.
    """

    project: Path
    photos: str
    written: tuple[str, ...]
    files: GateFiles
    params: GateParams
    find_file: FindFile
    against: str | None = None
    force: bool = False
    push: bool = True


@dataclass(frozen=True)
class RetrainResult:
    """The result of a retraining.

    verdict: of the gate, or None if nothing changed. branch, commit: of the new model, or where it
    was rejected of its line in the ledger; None if there is nothing new to commit.
    """

    verdict: Verdict | None
    title: str
    report: str
    branch: str | None = None
    commit: str | None = None


def retrain(plan: Plan, log: Callable[[str], None]) -> RetrainResult:
    """Fetch photos, run the pipeline, compare, and commit on a branch. Raises UserError."""
    return _Retraining(plan, log).run()


def dry_run(plan: Plan, log: Callable[[str], None]) -> None:
    """Log what `retrain` would do. Only DVC's run cache is fetched."""
    _Retraining(plan, log).dry_run()


class _Retraining:
    """A run of the loop, or its dry run."""

    def __init__(self, plan: Plan, log: Callable[[str], None]) -> None:
        """Raises UserError where `check` does."""
        self.plan, self.log = plan, log
        self.repository, self.dvc = Repository(plan.project), Dvc(plan.project)
        check(plan, self.repository)
        self.remote = self.dvc.has_remote()
        self.imported, self.missing = find_dvc_files(plan, self.repository)

    def run(self) -> RetrainResult:
        for step in self._steps():
            self.log(f"$ {' '.join(step)}")
            self.dvc.run(*step)
        lock = (self.plan.project / self.plan.files.lock).read_bytes()
        # No other run may change what is compared, pushed and committed.
        with alone(self.plan.project / TEMPORARY):
            check(self.plan, self.repository)
            check_unchanged(self.plan, self.dvc, lock)
            return self._propose()

    def dry_run(self) -> None:
        for step in self._steps():
            self.log(f"would run: {' '.join(step)}")
        pulled = self.missing if self.remote else []
        forecast = make_forecast(
            self.plan.project, self.imported, pulled, self.remote, self.plan.force
        )
        for line in describe_forecast(forecast):
            self.log(line)
        if self._new_tree() is None and changes_nothing(forecast):
            self.log("nothing would change: there would be no new model and no branch")
            return
        baseline = find_revision(self.plan.project, self.plan.against)
        self.log(f"would stop if nothing changed or the model is worse than that of {baseline}")
        if self.remote:
            self.log("would run: dvc push --run-cache")
        self.log(f"would commit photos, dvc.lock, metrics and ledger on a new branch, {BRANCHES}…")
        git_remote = self.repository.remote()
        if self.plan.push and git_remote:
            self.log(f"would run: git push {git_remote} {BRANCHES}…")

    def _steps(self) -> Iterator[tuple[str, ...]]:
        """The commands that fetch photos, and the pipeline, with its checks before `dvc repro`."""
        if self.imported:
            yield ("dvc", "update", *self.imported)
        if self.missing and self.remote:
            yield ("dvc", "pull", *self.missing)
        # Without a remote there is nothing to pull from, and DVC would warn.
        pull = ("--pull", "--allow-missing") if self.remote else ()
        yield (PIPELINE, *pull, *(("--force",) if self.plan.force else ()))

    def _new_tree(self) -> str | None:
        """The Git tree of a commit of the new model, without a new line of the ledger.

        None if it is that of HEAD.
        """
        tree = self.repository.snapshot([self.plan.photos, *self.plan.written])
        return None if tree == self.repository.find("HEAD^{tree}") else tree

    def _propose(self) -> RetrainResult:
        """Compare the results here, commit them on a branch, and push unless rejected."""
        tree = self._new_tree()
        if tree is None:
            text = "Nothing changed: there is no new model.\n"
            return RetrainResult(None, "Nothing changed", text)
        comparison, ledger = compare(self.plan, self.repository), self.plan.files.ledger
        verdict = comparison.verdict if comparison else Verdict.NOT_ENOUGH_EVIDENCE
        title, report = make_title(comparison), write_description(comparison)
        if comparison:
            record(self.plan.project, ledger, comparison.standing, verdict.value)
        if verdict is Verdict.REJECT:
            return self._propose_verdict(tree, title, report)

        if self.remote:
            # Before Git, so that everything that a visible commit names can be pulled.
            self.log("$ dvc push --run-cache")
            self.dvc.run("dvc", "push", "--run-cache")
        branch = f"{BRANCHES}{tree[:12]}"
        tree = self.repository.snapshot([self.plan.photos, *self.plan.written, ledger.as_posix()])
        commit = self._publish(branch, tree, title, report)
        return RetrainResult(verdict, title, report, branch, commit)

    def _propose_verdict(self, rejected: str, title: str, report: str) -> RetrainResult:
        """Commit the ledger alone, so that the verdict counts; the rejected model goes nowhere."""
        tree = self.repository.snapshot([self.plan.files.ledger.as_posix()])
        if tree == self.repository.find("HEAD^{tree}"):  # it had this verdict before
            return RetrainResult(Verdict.REJECT, title, report)
        branch, title = f"{BRANCHES}ledger-{rejected[:12]}", f"Draft: Ledger only. {title}"
        commit = self._publish(branch, tree, title, report)
        return RetrainResult(Verdict.REJECT, title, report, branch, commit)

    def _publish(self, branch: str, tree: str, title: str, report: str) -> str:
        """Commit the tree on the branch, and push it; the commit.

        GitLab takes the title and text of a merge request from its message.
        """
        commit = self.repository.commit_on(branch, tree, f"{title}\n\n{report}")
        self.log(f"committed on {branch}")
        git_remote = self.repository.remote()
        if self.plan.push and git_remote:
            self.log(f"$ git push {git_remote} {branch}")
            self.repository.push(git_remote, branch)
        return commit


def check(plan: Plan, repository: Repository) -> None:
    """Raise UserError if the commit would not contain exactly what made the model."""
    if repository.find("HEAD") is None:
        raise UserError(
            "This is not a Git repository with a commit, so a new model cannot be committed. Run "
            "this in a clone."
        )
    find_revision(plan.project, plan.against)
    own = (plan.photos, *plan.written, plan.files.ledger.as_posix())
    uncommitted = [
        one_line(path)
        for path in repository.changed()
        if not path.endswith(".dvc") and not is_inside(path, own)
    ]
    if uncommitted:
        raise UserError(
            f"Changed and not committed: {', '.join(uncommitted[:5])}"
            f"{' …' * (len(uncommitted) > 5)}. A new model is committed with all that made it: "
            f"commit that on a branch, or `git stash`."
        )
    check_tracked(plan.project, committed=(plan.photos,))


def check_unchanged(plan: Plan, dvc: Dvc, lock: bytes) -> None:
    """Raise UserError if inputs or dvc.lock have changed since the run.

    lock: the content of dvc.lock at the end of the run.
    """
    # Outputs of nodes may be missing: DVC fetches only what a run needs.
    changed = sorted(path for path in dvc.changed() if not is_inside(path, plan.written))
    if (plan.project / plan.files.lock).read_bytes() != lock:
        changed.append(plan.files.lock.as_posix())
    if changed:
        raise UserError(
            f"Changed while this ran: {', '.join(map(one_line, changed))}. The new model was "
            f"made from the state before. Nothing was committed or pushed; run this again."
        )


def find_dvc_files(plan: Plan, repository: Repository) -> tuple[list[str], list[str]]:
    """The .dvc files of imported photos, and those of other photos that are missing here."""
    files = repository.tracked("*.dvc")
    imported = find_imported(plan.project, files)
    missing = [
        file
        for file in files
        if file not in imported and not (plan.project / file).with_suffix("").exists()
    ]
    return imported, missing


def compare(plan: Plan, repository: Repository) -> Comparison | None:
    """The gate's comparison, or None if there is no model to compare with yet."""
    revision = find_revision(plan.project, plan.against)
    predictions = plan.files.predictions.as_posix()
    lock = DvcLock.parse(repository.read(revision.commit, plan.files.lock.as_posix()))
    if (
        lock.output_md5(predictions) is None
        and repository.read(revision.commit, predictions) is None
    ):
        read_current(plan.project, plan.files)  # checks the new results nevertheless
        return None
    # New test photos are expected, so the old model may predict them.
    return compare_models(
        plan.project,
        revision.commit,
        plan.params,
        plan.files,
        plan.find_file,
        may_remeasure=True,
        by_ledger=True,
    )
