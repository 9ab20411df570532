"""Heat maps: which parts of a photo are evidence for a brand."""

from __future__ import annotations

import numpy as np
from PIL import Image

from carbrand.photos.resizing import ResizePolicy


def class_activation_map(maps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Class activation map (Zhou et al., CVPR 2016), (h, w) float32 in 0…1.

    maps (h, w, channels): the backbone's output. weights (channels,): the head's, for one brand.
    A channel that is the same in all cells, as those of a transformer's class token, says nothing
    about where, and counts only if all are.
    """
    differs = (maps != maps[:1, :1]).any(axis=(0, 1))
    evidence = np.maximum(maps @ np.where(differs | ~differs.any(), weights, 0.0), 0.0)
    highest = evidence.max()
    return (evidence / highest if highest > 0 else evidence).astype(np.float32)


def align_with_photo(
    heatmap: np.ndarray, width: int, height: int, policy: ResizePolicy
) -> np.ndarray:
    """The heat map over the whole photo instead of the model's square input.

    Inverts the resizing of `policy` for a photo of `width` x `height` pixels, with the same shape
    (h, w). Parts that were cropped away are 0.
    """
    rows, columns = heatmap.shape
    image = Image.fromarray(heatmap)
    if policy == "pad":  # remove the bars
        share_x, share_y = min(1.0, width / height), min(1.0, height / width)
        left, top = columns * (1 - share_x) / 2, rows * (1 - share_y) / 2
        box = (left, top, columns - left, rows - top)
        return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, box=box))
    if policy == "crop":  # paste it where it was cropped
        wide = max(1, round(columns * min(1.0, height / width)))
        high = max(1, round(rows * min(1.0, width / height)))
        whole = Image.new("F", (columns, rows))
        part = image.resize((wide, high), Image.Resampling.BILINEAR)
        whole.paste(part, ((columns - wide) // 2, (rows - high) // 2))
        return np.asarray(whole)
    return heatmap
