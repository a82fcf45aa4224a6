import io

import numpy as np
import tifffile

from bfly.encoders.tiff import Tiff
from bfly.encoders.views import render
from bfly.testing.encoders import EncoderSuite


class TestTiff(EncoderSuite):
    encoder = Tiff
    media_type = "image/tiff"

    def decode(self, data, shape, dtype):
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            return np.stack([page.asarray().reshape(shape[1:]) for page in tiff.pages])

    def expected(self, voxels, view, kind):
        return voxels if view == "grayscale" else render(voxels, view, kind)
