"""Scheduled retraining as one function, the same in CI and by hand, safe to repeat after any step.

A branch is named after its content, so the same photos lead to the same branch, however often and
wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock, is_inside
from carbrand.node.wording import one_line
from carbrand.pipeline.git import Repository
from carbrand.pipeline.locks import alone
from carbrand.release.gate.comparison import Comparison, compare_models
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.gate_params import GateFiles, GateParams
from carbrand.release.gate.ledger import record
from carbrand.release.gate.model_results import read_current
from carbrand.release.gate.pairing import FindFile
from carbrand.release.gate.revision import find_revision
from carbrand.release.kept import check_kept
from carbrand.release.retrain.dvc_commands import Dvc, find_imported
from carbrand.release.retrain.forecast import changes_nothing, describe_forecast, make_forecast
from carbrand.release.retrain.summary import make_title, write_description

BRANCHES = "retrain/"
# Run as a command, since the library does not import the stages.
PIPELINE = "stages"
# The folder of the lock that `make repro` takes.
TEMPORARY = Path(".dvc/tmp")


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
    repository, dvc = Repository(plan.project), Dvc(plan.project)
    check(plan, repository)
    remote = dvc.has_remote()
    for step in (*fetch_steps(plan, repository, remote), run_step(plan, remote)):
        log(f"$ {' '.join(step)}")
        dvc.run(*step)
    lock = (plan.project / plan.files.lock).read_bytes()
    # No other run may change what is compared, pushed and committed.
    with alone(plan.project / TEMPORARY):
        check(plan, repository)
        check_unchanged(plan, dvc, lock)
        return propose(plan, repository, dvc, remote, log)


def propose(
    plan: Plan, repository: Repository, dvc: Dvc, remote: bool, log: Callable[[str], None]
) -> RetrainResult:
    """Compare the results here, commit them on a branch, and push unless rejected."""
    tree = snapshot(plan, repository)
    if tree == repository.find("HEAD^{tree}"):
        return RetrainResult(None, "Nothing changed", "Nothing changed: there is no new model.\n")
    comparison = compare(plan, repository)
    verdict = comparison.verdict if comparison else Verdict.NOT_ENOUGH_EVIDENCE
    title, report = make_title(comparison), write_description(comparison)
    if comparison:
        record(plan.project, plan.files.ledger, comparison.standing, verdict.value)
    if verdict is Verdict.REJECT:
        return propose_verdict(plan, repository, tree, title, report, log)

    if remote:
        # Before Git, so that everything that a visible commit names can be pulled.
        log("$ dvc push --run-cache")
        dvc.run("dvc", "push", "--run-cache")
    branch = f"{BRANCHES}{tree[:12]}"
    tree = repository.snapshot([plan.photos, *plan.written, plan.files.ledger.as_posix()])
    commit = publish(plan, repository, branch, tree, f"{title}\n\n{report}", log)
    return RetrainResult(verdict, title, report, branch, commit)


def propose_verdict(
    plan: Plan,
    repository: Repository,
    rejected: str,
    title: str,
    report: str,
    log: Callable[[str], None],
) -> RetrainResult:
    """Commit the ledger alone, so that the verdict counts; the rejected model goes nowhere."""
    tree = repository.snapshot([plan.files.ledger.as_posix()])
    if tree == repository.find("HEAD^{tree}"):  # it had this verdict before
        return RetrainResult(Verdict.REJECT, title, report)
    branch = f"{BRANCHES}ledger-{rejected[:12]}"
    title = f"Draft: Ledger only. {title}"
    commit = publish(plan, repository, branch, tree, f"{title}\n\n{report}", log)
    return RetrainResult(Verdict.REJECT, title, report, branch, commit)


def publish(
    plan: Plan,
    repository: Repository,
    branch: str,
    tree: str,
    message: str,
    log: Callable[[str], None],
) -> str:
    """Commit the tree on the branch, and push it; the commit.

    message: GitLab takes the title and text of a merge request from it.
    """
    commit = repository.commit_on(branch, tree, message)
    log(f"committed on {branch}")
    git_remote = repository.remote()
    if plan.push and git_remote:
        log(f"$ git push {git_remote} {branch}")
        repository.push(git_remote, branch)
    return commit


def snapshot(plan: Plan, repository: Repository) -> str:
    """The Git tree of a commit of the new model, without a new line of the ledger."""
    return repository.snapshot([plan.photos, *plan.written])


def dry_run(plan: Plan, log: Callable[[str], None]) -> None:
    """Log what `retrain` would do. Only DVC's run cache is fetched."""
    repository, dvc = Repository(plan.project), Dvc(plan.project)
    check(plan, repository)
    remote = dvc.has_remote()
    updated, missing = find_dvc_files(plan, repository)
    for step in (*fetch_steps(plan, repository, remote), run_step(plan, remote)):
        log(f"would run: {' '.join(step)}")
    pulled = missing if remote else []
    forecast = make_forecast(plan.project, updated, pulled, remote, plan.force)
    for line in describe_forecast(forecast):
        log(line)
    same = snapshot(plan, repository) == repository.find("HEAD^{tree}")
    if same and changes_nothing(forecast):
        log("nothing would change: there would be no new model and no branch")
        return
    log(f"would stop if nothing changed or the model is worse than that of {_baseline(plan)}")
    if remote:
        log("would run: dvc push --run-cache")
    log(f"would commit photos, dvc.lock, metrics and ledger on a new branch, {BRANCHES}…")
    git_remote = repository.remote()
    if plan.push and git_remote:
        log(f"would run: git push {git_remote} {BRANCHES}…")


def check(plan: Plan, repository: Repository) -> None:
    """Raise UserError if the commit would not contain exactly what made the model."""
    if repository.find("HEAD") is None:
        raise UserError(
            "This is not a Git repository with a commit, so a new model cannot be committed. Run "
            "this in a clone."
        )
    _baseline(plan)
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
    check_kept(plan.project, committed=(plan.photos,))


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


def fetch_steps(plan: Plan, repository: Repository, remote: bool) -> Iterable[tuple[str, ...]]:
    """The commands that fetch photos: updates of imported ones, and missing ones."""
    imported, missing = find_dvc_files(plan, repository)
    if imported:
        yield ("dvc", "update", *imported)
    if missing and remote:
        yield ("dvc", "pull", *missing)


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


def run_step(plan: Plan, remote: bool) -> tuple[str, ...]:
    """The pipeline, with its checks before `dvc repro`."""
    # Without a remote there is nothing to pull from, and DVC would warn.
    pull = ("--pull", "--allow-missing") if remote else ()
    return (PIPELINE, *pull, *_forced(plan))


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


def _forced(plan: Plan) -> tuple[str, ...]:
    return ("--force",) if plan.force else ()


def _baseline(plan: Plan) -> str:
    return str(find_revision(plan.project, plan.against))
