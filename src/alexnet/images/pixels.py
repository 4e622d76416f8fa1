"""What the numbers of an image stand for, in the networks that are published. No torch here."""

from typing import Literal

PixelKind = Literal["rgb", "bgr", "caffe"]
"""``rgb``, normalised as ours; ``bgr``, the same in that order; ``caffe``, BGR from 0 to 255 less the mean."""

# The mean and spread of ImageNet's pixels in RGB, in [0, 1], as most published networks use.
# Departure: the paper (section 2) subtracts the mean image of the training set and does not divide.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# The mean that Caffe's networks subtract, here in RGB too, of pixels from 0 to 255.
CAFFE_MEAN = (123.0, 117.0, 104.0)
