"""`pipeline drift`: do new images still look like those that a model was trained on?"""
