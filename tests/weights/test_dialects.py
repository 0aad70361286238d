"""Files of dense models are read as they were written."""

import pytest

from keras_twins.config import VARIANTS
from keras_twins.weights.dialects import DENSE_DIALECTS
from keras_twins.weights.dialects import choose_naming


@pytest.mark.parametrize("variant", ["svt_small", "pcpvt_small"])
@pytest.mark.parametrize(
    ("task", "naming"),
    [(task, naming) for task, row in DENSE_DIALECTS.items() for naming in row],
)
def test_the_naming_follows_the_dialect(variant, task, naming):
    config = VARIANTS[variant].with_dialect(DENSE_DIALECTS[task][naming])
    assert choose_naming(config, None, task) == naming
    assert choose_naming(config, naming, task) == naming


def test_padding_of_windows_matters_only_where_there_are_some():
    config = VARIANTS["pcpvt_small"].with_dialect("timm")
    assert choose_naming(config, None, "segmentation") == "official"
    config = VARIANTS["svt_small"].with_dialect("timm")
    with pytest.raises(ValueError, match="dialect 'official_seg.*naming=None"):
        choose_naming(config, None, "segmentation")
    assert choose_naming(config, None, "detection") == "official"


def test_a_naming_that_stands_for_another_dialect_is_warned_of():
    config = VARIANTS["svt_small"].with_dialect("official_segmentation")
    with pytest.warns(UserWarning, match="read with the .* 'mmsegmentation'"):
        chosen = choose_naming(config, "mmsegmentation", "segmentation")
    assert chosen == "mmsegmentation"


def test_an_unknown_naming_is_refused():
    config = VARIANTS["svt_small"].with_dialect("mmsegmentation")
    with pytest.raises(ValueError, match="`naming` must be.*naming='paddle'"):
        choose_naming(config, "paddle", "segmentation")
