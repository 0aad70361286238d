import pytest

from keras_twins.imagenet import class_names
from keras_twins.training.evaluation import ClassMap
from keras_twins.training.evaluation import folder_class_map
from keras_twins.training.evaluation import imagenet_class_map


def test_wordnet_identifiers():
    found = imagenet_class_map(["n01498041", "n01440764", "n15075141"])
    assert found.outputs == (6, 0, 999)
    assert (found.num_outputs, found.num_classes) == (1000, 3)
    free = imagenet_class_map(["n01498041"], restrict=False)
    assert free.num_classes == 1000


def test_folders_of_numbers_are_sorted_as_text(tmp_path):
    for name in ("0", "1", "2", "10", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "readme.txt").write_text("not a class")
    assert folder_class_map(tmp_path).outputs == (0, 1, 10, 2)


def test_folders_of_all_identifiers_are_in_the_order_of_the_logits(tmp_path):
    for wnid, _ in class_names():
        (tmp_path / wnid).mkdir()
    assert folder_class_map(tmp_path).outputs == tuple(range(1000))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["n01498041", "stingray"], r"1 of 2 names.*\['stingray'\]"),
        (["1000"], r"\['1000'\]"),
        (["6", "n01498041"], r"\[6\] more than once"),
        ([], "0 of 0 names"),
    ],
)
def test_other_names_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        imagenet_class_map(names)


def test_folders_without_classes(tmp_path):
    with pytest.raises(ValueError, match="without folders"):
        folder_class_map(tmp_path)


def test_outputs_the_model_lacks():
    with pytest.raises(ValueError, match=r"from 0 to 2. Received: \[3\]"):
        ClassMap((0, 3), 3)
