"""What a few rows and files tell, without running the user's pipeline."""

import io
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from tb_trainspeed.probes import samples


def test_padding_is_counted_at_either_end():
    rows = np.zeros((2, 10), "int32")
    rows[0, :4], rows[1, 8:] = 7, 7
    assert samples.padding_share(rows) == pytest.approx((6 + 8) / 20)
    rows[0, 2] = 0  # a zero within is a word like others
    assert samples.padding_share(rows) == pytest.approx((6 + 8) / 20)


@pytest.mark.parametrize(
    "rows", [np.ones((4, 10), "float32"), np.ones((4, 3), "int32"), np.zeros((4, 10), "int32"), np.ones(4, "int32")]
)
def test_padding_of_what_are_no_sequences_is_not_measured(rows):
    assert samples.padding_share(rows) is None


def test_one_hot_targets():
    assert samples.one_hot_classes(np.eye(10, dtype="float32")) == 10
    assert samples.one_hot_classes(np.full((3, 10), 0.1, "float32")) is None  # smoothed
    assert samples.one_hot_classes(np.arange(10)) is None


def test_images_that_would_fit_into_bytes():
    whole = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    assert samples.holds_bytes(whole) is True
    assert samples.holds_bytes(whole / 255) is True
    assert samples.holds_bytes(whole / 127.5 - 1) is False
    assert samples.holds_bytes(whole.astype("uint8")) is None


def test_how_large_images_are_that_nothing_centred():
    whole = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    whole[0, 0, 0, 0] = 254.5
    assert samples.largest_pixel(np.clip(whole, 0, 254.5)) == "254.5"
    assert samples.largest_pixel(whole - 1) == ""
    assert samples.largest_pixel(whole.astype("uint8")) == ""
    assert samples.largest_pixel(whole[..., 0]) == ""
    assert samples.rows_facts([np.ones((4, 2), "float32"), whole[:, :1, :1] * 0 + 3], [])["options"] == {
        "largest_pixel": "3"
    }


def test_rows_are_read_on_the_host_only():
    class OnDevice:
        shape, device = (4, 2), "cuda:0"

        def __getitem__(self, index):
            raise AssertionError("asks the device")

    assert samples.rows_facts([OnDevice()], [])["padding_share"] is None


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_sizes_of_images_by_their_headers(kind, tmp_path):
    image = Image.new("RGB", (40, 30))
    path = tmp_path / f"image.{kind}"
    image.save(path)
    files = samples.files_facts([str(path), str(path).encode()])
    assert (files.image_format, files.image_height, files.image_width) == (kind, 30, 40)
    assert files.mean_bytes == path.stat().st_size
    assert files.file_system
    encoded = io.BytesIO()
    image.save(encoded, kind)
    in_memory = samples.files_facts([encoded.getvalue()])
    assert (in_memory.image_format, in_memory.file_system) == (kind, None)


def test_text_is_no_file_and_an_address_is_a_file_elsewhere():
    assert samples.files_facts(["some text", b"\0\1\2"]) is None
    assert samples.files_facts(["gs://bucket/shard"]) == samples.Files(1, "gs", None, None, None, None)
    assert samples.image_size(b"\xff\xd8\xff\xe0") == ("jpeg", None, None)  # cut off


def test_a_pipe_is_left_alone(tmp_path):
    """To open it would wait for somebody who writes, and to read it take what is for the user."""
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    assert samples.files_facts([str(pipe)]) is None


def test_of_large_rows_few_are_read():
    read = []

    class Rows(np.ndarray):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    assert samples.rows_facts([], [np.eye(21)[np.zeros((16, 64, 64), int)].view(Rows)])["one_hot_classes"] == 21
    assert read[0] == slice(None, 11)


def test_paths_among_the_attributes_of_a_dataset(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")

    class Mine:
        def __init__(self):
            self.name, self.files, self.root, self.size = "train", [str(path)], pathlib.Path(tmp_path), 3

    assert samples.paths_of(Mine())[0] == str(path)
    assert samples.paths_of(object()) == []
