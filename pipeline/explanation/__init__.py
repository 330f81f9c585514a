"""Where in an image is what a model answered by?"""
