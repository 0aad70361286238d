import pytest

from keras_twins.training.classification_recipes import CLASSIFICATION_RECIPES
from keras_twins.training.detection_recipes import DETECTION_RECIPES
from keras_twins.training.recipes import RECIPES
from keras_twins.training.recipes import find_recipe
from keras_twins.training.recipes import recipe_rows
from keras_twins.training.segmentation_recipes import SEGMENTATION_RECIPES


def test_all_tables_are_one():
    tables = (CLASSIFICATION_RECIPES, SEGMENTATION_RECIPES, DETECTION_RECIPES)
    assert len(RECIPES) == sum(map(len, tables))
    for table in tables:
        for name, recipe in table.items():
            assert find_recipe(name) is recipe


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("imagenet/svt_bas", "imagenet/svt_base"),
        ("svt_large", "imagenet/svt_large"),
        ("upernet", "ade20k/upernet"),
    ],
)
def test_unknown_names(name, near):
    with pytest.raises(ValueError, match=f"Did you mean .*{near}.*'{name}'"):
        find_recipe(name)


def test_names_that_are_near_to_none():
    with pytest.raises(ValueError, match="such recipe. There are imagenet/"):
        find_recipe("?")


def test_rows():
    rows = {row["name"]: row for row in recipe_rows()}
    assert list(rows) == list(RECIPES)
    row = rows["imagenet/svt_base"]
    assert row.pop("source").startswith("https://github.com/Meituan")
    assert row == {
        "name": "imagenet/svt_base",
        "task": "classification",
        "model": "svt_base",
        "length": "300 epochs",
        "batch": "1024",
        "learning_rate": "0.001",
        "published": "top-1 83.2",
    }
    assert rows["ade20k/upernet"]["length"] == "160,000 steps"
    assert rows["ade20k/upernet"]["task"] == "segmentation"
    assert rows["coco/mask_rcnn_3x"]["model"] == "mask_rcnn on any"
    assert rows["finetune/cifar10"]["published"] == "-"


def test_every_row_of_the_paper_has_its_result():
    for row in recipe_rows():
        group = row["name"].split("/")[0]
        assert (row["published"] == "-") == (group in ("finetune", "digits"))
