"""The WordTree of YOLO9000: the structure, its files, building it from WordNet, and the maths on it."""
