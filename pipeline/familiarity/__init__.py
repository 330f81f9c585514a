"""Is an image like the training images, by what the network sees in it?"""
