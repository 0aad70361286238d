from keras_twins import coco


def test_there_are_80_classes_of_unique_names():
    names = coco.class_names()
    assert len(names) == coco.NUM_CLASSES == 80
    assert len(set(names)) == 80
    assert all(name == name.strip() and name for name in names)


def test_the_order_is_that_of_the_labels():
    names = coco.class_names()
    assert names[:3] == ("person", "bicycle", "car")
    assert (names[9], names[60], names[79]) == (
        "traffic light",
        "dining table",
        "toothbrush",
    )


def test_category_ids_leave_out_what_has_no_boxes():
    """Ten categories of 2014's plan never got annotations."""
    numbers = coco.category_ids()
    assert list(numbers) == sorted(numbers)
    left_out = set(range(1, 91)) - set(numbers)
    assert left_out == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}


def test_names_and_numbers_belong_together():
    numbers = dict(coco.classes())
    found = [numbers[x] for x in ("person", "stop sign", "tv", "toothbrush")]
    assert found == [1, 13, 72, 90]
