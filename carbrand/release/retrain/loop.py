"""The loop as one function: the same in CI and by hand, and safe to run again after any step.

Nothing is kept that a second run would trip over: a branch is named after its content, so the same
photos lead to the same branch, however often and wherever they are learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.dvc_lock import DvcLock, is_inside
from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.pipeline.git import Repository
from carbrand.pipeline.locks import alone
from carbrand.release.gate.comparison import Comparison, compare_models
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.model_results import GateFiles, read_current
from carbrand.release.gate.pairing import FindFile
from carbrand.release.gate.revision import find_revision
from carbrand.release.kept import check_kept
from carbrand.release.retrain.dvc_commands import Dvc, imported
from carbrand.release.retrain.forecast import describe_forecast, is_nothing, make_forecast
from carbrand.release.retrain.summary import describe, make_title

BRANCHES = "retrain/"
# Called as a command: the library does not import the stages.
PIPELINE = "stages"
# Where `make repro` keeps others waiting.
TEMPORARY = Path(".dvc/tmp")


@dataclass(frozen=True)
class Plan:
    """What to do, and where everything is.

    photos: the folder of photos. written: what the pipeline writes, of which Git keeps a part.
    find_file: from a commit and a path to the file. against: the revision whose model the new one
    must not fall behind, or None for the main branch. push: whether the new branch goes to Git's
    remote.
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
class Outcome:
    """What came of it.

    verdict: the gate's, or None where nothing changed. branch, commit: where the new model is kept.
    """

    verdict: Verdict | None
    title: str
    report: str
    branch: str | None = None
    commit: str | None = None


def retrain(plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """Fetch, run, compare, keep. Raises UserError at the first step that cannot be done."""
    repository, dvc = Repository(plan.project), Dvc(plan.project)
    check(plan, repository)
    remote = dvc.has_remote()
    for step in (*fetch_steps(plan, repository, remote), run_step(plan, remote)):
        tell(f"$ {' '.join(step)}")
        dvc.run(*step)
    made = (plan.project / plan.files.lock).read_bytes()
    # Whoever waits to run here would change what is compared, pushed and committed.
    with alone(plan.project / TEMPORARY):
        check(plan, repository)
        check_unchanged(plan, dvc, made)
        return propose(plan, repository, dvc, remote, tell)


def propose(
    plan: Plan, repository: Repository, dvc: Dvc, remote: bool, tell: Callable[[str], None]
) -> Outcome:
    """Compare what lies here, and keep it on a branch, here and where DVC and Git push to."""
    tree = snapshot(plan, repository)
    if tree == repository.find("HEAD^{tree}"):
        return Outcome(None, "Nothing changed", "Nothing changed: there is no new model.\n")
    comparison = judge(plan, repository)
    verdict = comparison.verdict if comparison else Verdict.NOT_ENOUGH_EVIDENCE
    title, report = make_title(comparison), describe(comparison)
    if verdict is Verdict.REJECT:
        return Outcome(verdict, title, report)

    if remote:
        # Before Git: whoever sees the commit finds what it names.
        tell("$ dvc push --run-cache")
        dvc.run("dvc", "push", "--run-cache")
    branch = f"{BRANCHES}{tree[:12]}"
    # GitLab takes title and text of a merge request from here.
    commit = repository.commit_on(branch, tree, f"{title}\n\n{report}")
    tell(f"committed on {branch}")
    git_remote = repository.remote()
    if plan.push and git_remote:
        tell(f"$ git push {git_remote} {branch}")
        repository.push(git_remote, branch)
    return Outcome(verdict, title, report, branch, commit)


def snapshot(plan: Plan, repository: Repository) -> str:
    """The tree that a commit of the new model would have."""
    return repository.snapshot([plan.photos, *plan.written])


def rehearse(plan: Plan, tell: Callable[[str], None]) -> None:
    """Say what `retrain` would do. Nothing is done but that DVC's notes of runs are fetched."""
    repository, dvc = Repository(plan.project), Dvc(plan.project)
    check(plan, repository)
    remote = dvc.has_remote()
    updated, missing = kept_elsewhere(plan, repository)
    for step in (*fetch_steps(plan, repository, remote), run_step(plan, remote)):
        tell(f"would run: {' '.join(step)}")
    pulled = missing if remote else []
    forecast = make_forecast(plan.project, updated, pulled, remote, plan.force)
    for line in describe_forecast(forecast):
        tell(line)
    same = snapshot(plan, repository) == repository.find("HEAD^{tree}")
    if same and is_nothing(forecast):
        tell("nothing would change: there would be no new model and no branch")
        return
    tell(f"would stop there if nothing changed, or the model is worse than {_rival(plan)}")
    if remote:
        tell("would run: dvc push --run-cache")
    tell(f"would commit photos, dvc.lock and metrics on a new branch, {BRANCHES}…")
    git_remote = repository.remote()
    if plan.push and git_remote:
        tell(f"would run: git push {git_remote} {BRANCHES}…")


def check(plan: Plan, repository: Repository) -> None:
    """Raise UserError for what would make the commit another one than it says."""
    if repository.find("HEAD") is None:
        raise UserError(
            "This is no Git repository with a commit in it, and a new model is kept in a commit. "
            "Run it in a clone."
        )
    _rival(plan)
    own = (plan.photos, *plan.written)
    strange = [
        one_line(path)
        for path in repository.changed()
        if not path.endswith(".dvc") and not is_inside(path, own)
    ]
    if strange:
        raise UserError(
            f"Changed and not committed: {', '.join(strange[:5])}{' …' * (len(strange) > 5)}. "
            f"A new model is kept with what made it: commit that on a branch, or `git stash` it."
        )
    check_kept(plan.project, committed=(plan.photos,))


def check_unchanged(plan: Plan, dvc: Dvc, made: bytes) -> None:
    """Raise UserError where the new model is not one of what lies here.

    made: what dvc.lock said at the end of the run.
    """
    # What nodes write need not be here: DVC fetches only what a run needs.
    changed = sorted(path for path in dvc.changed() if not is_inside(path, plan.written))
    if (plan.project / plan.files.lock).read_bytes() != made:
        changed.append(plan.files.lock.as_posix())
    if changed:
        raise UserError(
            f"Changed while this ran: {', '.join(map(one_line, changed))}. The new model is of "
            f"what was there before. Nothing was committed or pushed; run this again."
        )


def fetch_steps(plan: Plan, repository: Repository, remote: bool) -> Iterable[tuple[str, ...]]:
    """The commands that bring photos here: imported ones as they are now, others if missing."""
    from_elsewhere, missing = kept_elsewhere(plan, repository)
    if from_elsewhere:
        yield ("dvc", "update", *from_elsewhere)
    if missing and remote:
        yield ("dvc", "pull", *missing)


def kept_elsewhere(plan: Plan, repository: Repository) -> tuple[list[str], list[str]]:
    """The .dvc files of imported photos, and of others that are not here."""
    files = repository.tracked("*.dvc")
    from_elsewhere = imported(plan.project, files)
    missing = [
        file
        for file in files
        if file not in from_elsewhere and not (plan.project / file).with_suffix("").exists()
    ]
    return from_elsewhere, missing


def run_step(plan: Plan, remote: bool) -> tuple[str, ...]:
    """`dvc repro`, by way of the check that keeps a mistake from costing anything."""
    # Without a remote there is nothing to pull from, and DVC would warn.
    pull = ("--pull", "--allow-missing") if remote else ()
    return (PIPELINE, *pull, *_forced(plan))


def judge(plan: Plan, repository: Repository) -> Comparison | None:
    """The gate's comparison, or None where there is no model yet to compare with."""
    revision = find_revision(plan.project, plan.against)
    predictions = plan.files.predictions.as_posix()
    lock = DvcLock.parse(repository.read(revision.commit, plan.files.lock.as_posix()))
    if (
        lock.output_md5(predictions) is None
        and repository.read(revision.commit, predictions) is None
    ):
        read_current(
            plan.project, plan.files
        )  # with nothing to compare with, it must be right, too
        return None
    # New test photos are nothing unusual here, and the old model can be asked about them.
    return compare_models(
        plan.project, revision.commit, plan.params, plan.files, plan.find_file, True
    )


def _forced(plan: Plan) -> tuple[str, ...]:
    return ("--force",) if plan.force else ()


def _rival(plan: Plan) -> str:
    return str(find_revision(plan.project, plan.against))
