"""The sections of the report about the photos: findings, copies, label errors, the map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from carbrand.node.wording import one_line
from carbrand.photos.corrections import BRAND, lines_to_paste
from carbrand.photos.manifest import Row
from carbrand.report import issue_descriptions
from carbrand.report.copy_clusters import Cluster, find_clusters
from carbrand.report.drawing.photo_map import SHAPES, MapPoint, nearest_agreement, photo_map
from carbrand.report.results import Results
from carbrand.report.sections.section import Context, ReportInput, show_photo
from carbrand.scores.files.suspects_file import Suspect

LISTED_FILES = 200  # a line of text each
LISTED_NOTES = 50
PHOTOS_PER_CLUSTER = 8
# Of the map, in units of its viewBox: small, so that a phone does not shrink its letters.
MAP_WIDTH, MAP_EDGE = 400.0, 8.0
MANY_POINTS = 400  # from here on they are drawn smaller


def data_findings(data: ReportInput) -> Context:
    """How many files have which status and which issues."""
    run = data.run
    splits = sorted({file.split for file in run.manifest}, reverse=True)  # train before test
    kept = Counter((file.brand, file.split) for file in run.manifest if file.path in run.used)
    others = [
        file
        for file in run.manifest
        if file.issues and not file.duplicate_of and set(file.issues) != {"suspected"}
    ]
    return {
        "files": len(run.manifest),
        "corrected": Counter(file.correction for file in run.manifest if file.correction),
        "corrections": f"{data.datasets}/corrections.csv",
        "other_brand": [file for file in run.manifest if file.correction == BRAND][:LISTED_FILES],
        "statuses": sorted(Counter(file.status for file in run.manifest).items()),
        "splits": splits,
        "kept": {
            brand: [kept[brand, split] for split in splits]
            for brand in sorted({brand for brand, _ in kept})
        },
        "folders": run.folders[:LISTED_NOTES],
        "more_folders": len(run.folders[LISTED_NOTES:]),
        "issues": _issues(run),
        "others": others[:LISTED_FILES],
        "more_others": len(others[LISTED_FILES:]),
    }


def _issues(run: Results) -> list[Context]:
    """Each issue code with the number of files that have it, and of those left out."""
    found = Counter(code for file in run.manifest for code in file.issues)
    out = Counter(code for file in run.manifest if file.status != "kept" for code in file.issues)
    return [
        {
            "name": issue_descriptions.issue_name(code),
            "meaning": issue_descriptions.meaning(code),
            "files": found[code],
            "out": out[code],
        }
        for code in sorted(found, key=issue_descriptions.sort_key)
    ]


def copies(data: ReportInput) -> Context:
    """Clusters of copies, and pairs that may be copies."""
    run, most = data.run, data.limits.pairs
    clusters = find_clusters(run)
    found_by_hash = {file.path for file in run.manifest if file.duplicate_of}
    train_by_vectors = {copy.path for copy in run.train_copies} - found_by_hash
    test_by_vectors = {copy.path for copy in run.test_copies} - found_by_hash
    return {
        "clusters": [_show_cluster(cluster, data) for cluster in clusters[:most]],
        "all_clusters": len(clusters),
        "more_clusters": len(clusters[most:]),
        "suspected": [_show_suspected(pair, data) for pair in run.suspicions[:most]],
        "all_suspected": len(run.suspicions),
        "more_suspected": len(run.suspicions[most:]),
        "train_by_vectors": len(train_by_vectors),
        "test_by_vectors": len(test_by_vectors),
    }


def _show_cluster(cluster: Cluster, data: ReportInput) -> Context:
    across = len(cluster.splits) > 1
    photos = []
    for photo in cluster.photos[:PHOTOS_PER_CLUSTER]:
        alt = f"Photo {one_line(photo.row.path)}" + (f", {photo.how}" if photo.how else "")
        issues = [issue_descriptions.issue_name(code) for code in photo.codes]
        picture = show_photo(photo.row.path, data.limits.thumbnail_px // 2, alt)
        photos.append({"copied": photo, "picture": picture, "issues": issues})
    return {
        "where": ("In " if across else "Inside ") + " and ".join(cluster.splits),
        "brands": cluster.brands if len(cluster.brands) > 1 else (),
        "photos": photos,
        "first": cluster.photos[0].row.path,
        "more": len(cluster.photos[PHOTOS_PER_CLUSTER:]),
    }


def _show_suspected(pair: tuple[Row, Row], data: ReportInput) -> Context:
    size_px = data.limits.thumbnail_px // 2
    first, second = pair
    return {
        "across": first.split != second.split,
        "brands": sorted({first.brand, second.brand}),
        "photos": [
            (row.path, show_photo(row.path, size_px, f"Photo {one_line(row.path)}")) for row in pair
        ],
    }


def label_errors(data: ReportInput) -> Context:
    """Photos of either split that look more like another brand."""
    run = data.run
    used = [file for file in run.manifest if file.split == "train" and file.path in run.used]
    of_test = [suspect for suspect in run.test_suspects if suspect.issue]
    suspected = [*(suspect for suspect in run.suspects if suspect.issue), *of_test]
    lines = lines_to_paste((it.path, it.suggested) for it in suspected[:LISTED_FILES])
    changed = {it.path: it.suggested for it in of_test}
    right = sum(photo.predicted == changed.get(photo.path, photo.actual) for photo in run.leak_free)
    return {
        "splits": [
            ("training", len(used), _show_suspects(run.suspects, data)),
            ("test", len(run.leak_free), _show_suspects(of_test, data)),
        ],
        "accuracy": run.metrics.leak_free.accuracy,
        "accuracy_if_all": right / max(1, len(run.leak_free)),
        "corrections": f"{data.datasets}/corrections.csv",
        "lines": lines,
    }


def _show_suspects(suspects: Sequence[Suspect], data: ReportInput) -> Context:
    """The issues among the suspects of a split; others fill the places that are left."""
    size_px = data.limits.thumbnail_px // 2
    suspected = [suspect for suspect in suspects if suspect.issue]
    others = [suspect for suspect in suspects if not suspect.issue]
    shown = [*suspected, *others][: data.limits.suspects]
    return {
        "suspected": len(suspected),
        "others": len(shown) > len(suspected),
        "shown": [
            (it, show_photo(it.path, size_px, f"Photo in the folder {it.brand}")) for it in shown
        ],
        "more": max(0, len(suspected) - len(shown)),
    }


def embedding_map(data: ReportInput) -> Context:
    """The photos as points of an SVG; each names its photo when it is pointed at."""
    shown = photo_map(data.run)
    agreeing, of = nearest_agreement(data.run)
    size = 3.2 if len(shown.points) <= MANY_POINTS else 1.8
    return {
        "points": [_map_point(point, size) for point in shown.points],
        "height": round(2 * MAP_EDGE + (MAP_WIDTH - 2 * MAP_EDGE) * shown.height, 1),
        "width": MAP_WIDTH,
        "brands": [(brand, _outline(i, 10, 10, 6.0), i) for i, brand in enumerate(shown.shapes)],
        "circle": _outline(0, 10, 10, 5.0),
        "labels": [(label.brand, _map_px(label.x), _map_px(label.y)) for label in shown.labels],
        "unlabelled": shown.unlabelled,
        "photos": shown.photos,
        "agreeing": agreeing,
        "of": of,
    }


def _map_point(point: MapPoint, size: float) -> Context:
    x, y = _map_px(point.x), _map_px(point.y)
    title = f"{point.photo.path}: {point.photo.brand}"
    if point.predicted:
        title += f", predicted as {point.predicted}"
    return {
        "path": _outline(point.shape, x, y, size),
        "split": "train" if point.photo.split == "train" else "test",
        "shape": point.shape,
        "ring": (x, y, 2.6 * size) if point.predicted else None,
        "title": title,
    }


def _map_px(share: float) -> float:
    """A place on the map (1 is its width) in units of the viewBox."""
    return MAP_EDGE + (MAP_WIDTH - 2 * MAP_EDGE) * share


def _outline(shape: int, x: float, y: float, size: float) -> str:
    """The `d` of a <path> around a place."""
    if not SHAPES[shape]:
        r = f"{size:g}"
        return (
            f"M{x - size:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * size:g} 0a{r} {r} 0 1 0 {-2 * size:g} 0z"
        )
    return "M" + "L".join(f"{x + size * a:.1f} {y + size * b:.1f}" for a, b in SHAPES[shape]) + "z"
