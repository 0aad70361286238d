"""Twins under the heads of other Keras libraries.

Each module is named after its library and needs it; neither is imported with
the package: `keras_twins.integrations.keras_cv` (`pip install
"keras-twins[cv]"`) and `keras_twins.integrations.keras_hub` (`pip install
"keras-twins[hub]"`).
"""
