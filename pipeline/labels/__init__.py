"""Are the labels right? What people said of single images, and which ones they should look at."""
