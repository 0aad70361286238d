"""Many draws at once, for tests of their distribution."""

from keras_twins.data.tensorflow_data import map_in_order


def draw_many(draw, count):
    """Returns what `draw` makes of many seeds: arrays of `count` rows."""
    import tensorflow as tf

    def one(number):
        drawn = draw(tf.stack([number, 5]))
        return drawn if tf.is_tensor(drawn) else vars(drawn)

    numbers = tf.data.Dataset.range(count)
    return next(map_in_order(numbers, one).batch(count).as_numpy_iterator())


def assert_rate(found, rate):
    """Checks a share of booleans, within five standard deviations."""
    margin = 5 * (rate * (1 - rate) / found.size) ** 0.5
    assert abs(found.mean() - rate) <= margin
