"""Making cheap students good: the form of a skill that suits one (tune), classifiers, ladders, data to train on."""
