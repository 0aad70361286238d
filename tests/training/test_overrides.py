import dataclasses
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies

from keras_twins.training.overrides import override
from keras_twins.training.recipes import RECIPES

FINITE = strategies.floats(allow_nan=False, allow_infinity=False)
WORDS = strategies.text("abcxyz_/0123456789.=", min_size=1)


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)

    def __post_init__(self):
        if self.rate < 0:
            raise ValueError(f"`rate` is negative. Received: {self.rate}")


@dataclasses.dataclass(frozen=True)
class Needy:
    needed: int


@dataclasses.dataclass(frozen=True)
class Row:
    number: int = 1
    share: float = 0.1
    maybe: float | None = None
    count: int | None = 3
    name: str = "a"
    label: str | None = None
    on: bool = False
    kind: Literal["one", "two"] = "one"
    pair: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    inner: Inner = Inner()
    optional: Inner | None = None
    needy: Needy | None = None
    name_or_inner: str | Inner = "text"
    twice: int = 0

    def __post_init__(self):
        object.__setattr__(self, "twice", 2 * self.number)


@given(
    strategies.fixed_dictionaries(
        {},
        optional={
            "number": strategies.integers(),
            "share": FINITE,
            "maybe": FINITE | strategies.none(),
            "count": strategies.integers() | strategies.none(),
            "name": WORDS,
            "label": WORDS | strategies.none(),
            "on": strategies.booleans(),
            "kind": strategies.sampled_from(["one", "two"]),
            "pair": strategies.tuples(FINITE, FINITE),
            "inner.rate": FINITE.map(abs),
            "inner.sizes": strategies.lists(strategies.integers()).map(tuple),
            "optional.rate": FINITE.map(abs),
        },
    )
)
def test_values_come_back_from_their_texts(values):
    changes = [f"{path}={value}" for path, value in values.items()]
    changed = override(Row(), changes)
    for path, value in values.items():
        found = changed
        for name in path.split("."):
            found = getattr(found, name)
        assert found == value
        assert type(found) is type(value)
    kept = {field.name for field in dataclasses.fields(Row)} - {"twice"}
    kept -= {path.split(".")[0] for path in values}
    for name in kept:
        assert getattr(changed, name) == getattr(Row(), name)


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("share=2e-3", "share", 2e-3),
        ("share=1", "share", 1.0),
        (" number = 5 ", "number", 5),
        ("on=True", "on", True),
        ("maybe=none", "maybe", None),
        ("names=a,b", "names", ("a", "b")),
        ("names=", "names", ()),
        ("pair=0.5,1", "pair", (0.5, 1.0)),
        ("name_or_inner=other", "name_or_inner", "other"),
        ("name=x=y", "name", "x=y"),
    ],
)
def test_how_values_are_written(change, path, value):
    assert getattr(override(Row(), [change]), path) == value


def test_the_last_change_counts():
    assert override(Row(), ["number=2", "number=3"]).number == 3


def test_fields_of_nothing_begin_from_their_defaults():
    changed = override(Row(), ["optional.rate=0.25"])
    assert changed.optional == Inner(rate=0.25)
    assert override(Row(), ["name_or_inner.rate=1"]).name_or_inner == Inner(1.0)
    assert override(changed, ["optional=None"]).optional is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("number", "form field=value.*'number'"),
        ("numbr=1", "no field `numbr`. Did you mean number"),
        ("rate=1", "Did you mean inner.rate or optional.rate"),
        ("inner.rat=1", "Did you mean inner.rate"),
        ("number.x=1", "no field `number.x`"),
        ("number=1.5", "`number` must be an integer.*number=1.5"),
        ("number=None", "`number` must be an integer"),
        ("share=nan", "`share` must be a finite number"),
        ("count=x", "must be an integer or None.*count=x"),
        ("on=yes", "`on` must be true or false"),
        ("kind=three", "`kind` must be one or two"),
        ("pair=1", "`pair` must be 2 values with commas, each a finite"),
        ("pair=1,x", "`pair` must be 2 values"),
        ("inner=x", "`inner` must be changed field by field, as Inner"),
        ("inner.rate=-1", "`rate` is negative"),
        ("needy.needed=1", "Needy has no defaults"),
        ("twice=7", "`twice` follows from other fields.*would become 2"),
    ],
)
def test_wrong_changes(change, message):
    with pytest.raises(ValueError, match=message):
        override(Row(), [change])


def test_changes_that_exclude_each_other():
    with pytest.raises(ValueError, match="or from another change"):
        override(Row(), ["optional.rate=1", "optional=None"])


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_the_recipes_can_be_changed(name):
    recipe = RECIPES[name]
    changes = [
        f"{field.name}={getattr(recipe, field.name)}"
        for field in dataclasses.fields(recipe)
        if not dataclasses.is_dataclass(getattr(recipe, field.name))
    ]
    assert override(recipe, changes) == recipe


def test_recipes_for_each_task():
    changed = override(
        RECIPES["imagenet/svt_base"],
        [
            "epochs=100",
            "variant=pcpvt_small",
            "augmentation.rand_augment.magnitude=5",
            "augmentation.scale=0.2,1",
            "layer_decay=0.75",
        ],
    )
    assert (changed.epochs, changed.variant) == (100, "pcpvt_small")
    assert changed.augmentation.rand_augment.magnitude == 5
    assert changed.augmentation.scale == (0.2, 1.0)
    changed = override(RECIPES["coco/retinanet_1x"], ["drop_epochs=2,3"])
    assert changed.drop_epochs == (2, 3)
    changed = override(RECIPES["ade20k/upernet"], ["steps=10"])
    assert changed.steps == 10


def test_sizes_of_images_are_set_in_one_place():
    recipe = RECIPES["imagenet/svt_base"]
    assert override(recipe, ["image_size=384"]).augmentation.size == 384
    with pytest.raises(ValueError, match="`augmentation.size` follows"):
        override(recipe, ["augmentation.size=384"])
