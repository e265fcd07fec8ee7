"""Files that cannot be read or written."""

import pytest
from image.profiles import display_p3
from image.samples import INTEGERS, SHAPES, noise, ramp, same
from PIL import Image

from jaxcolor.image import files
from jaxcolor.image.files import Picture


class TestAside:
    def test_success_replaces(self, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("old")
        with files.aside(path) as temporary:
            assert temporary.parent == tmp_path
            temporary.write_text("new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
    def test_failure_leaves_all_as_it_was(self, tmp_path, error):
        path = tmp_path / "a.txt"
        path.write_text("old")

        def fail():
            with files.aside(path) as temporary:
                temporary.write_text("half")
                raise error("stop")

        with pytest.raises(error, match="stop"):
            fail()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
    @pytest.mark.parametrize("there", [True, False])
    def test_write_that_fails(self, tmp_path, monkeypatch, dtype, there):
        """The rename fails, when the new file is complete: the worst moment."""
        path = tmp_path / "a.tif"
        if there:
            path.write_bytes(b"old")

        def refuse(source, target):
            raise PermissionError(13, "Permission denied", str(source))

        monkeypatch.setattr("jaxcolor.image.files.os.replace", refuse)
        with pytest.raises(PermissionError) as caught:
            files.write(path, Picture(noise(SHAPES["RGB"], dtype)))
        assert caught.value.filename == str(path)  # not the temporary name
        assert [one.name for one in tmp_path.iterdir()] == (["a.tif"] if there else [])
        assert not there or path.read_bytes() == b"old"

    def test_a_full_disk(self, tmp_path, monkeypatch):
        def full(self, to, *args, **kwargs):
            to.write(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", full)
        with pytest.raises(OSError, match="No space"):
            files.write(tmp_path / "a.png", Picture(ramp()))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_a_folder_that_is_not_there(self, tmp_path, dtype):
        with pytest.raises(OSError, match="nowhere"):
            files.write(tmp_path / "nowhere" / "a.tif", Picture(ramp(dtype=dtype)))


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "dtype"),
        [("a.jpg", "uint8"), ("a.png", "uint8"), ("a.png", "uint16"), ("a.tif", "uint16")],
    )
    @pytest.mark.parametrize("share", [0.003, 0.02, 0.4, 0.9])
    def test_truncated(self, tmp_path, capfd, name, dtype, share):
        """Also on stderr's file descriptor: the C libraries behind write there."""
        path = tmp_path / name
        pixels = noise((60, 50, 3), dtype)
        files.write(path, Picture(pixels, display_p3()))
        data = path.read_bytes()
        path.write_bytes(data[: max(3, int(share * len(data)))])
        with pytest.raises(ValueError, match=r"a\.\w+: (damaged|not a picture)") as caught:
            files.read(path)
        assert "\n" not in str(caught.value)
        assert capfd.readouterr() == ("", "")

    def test_no_picture_at_all(self, tmp_path):
        path = tmp_path / "a.png"
        with pytest.raises(FileNotFoundError):
            files.read(path)
        path.write_bytes(b"")
        with pytest.raises(ValueError, match=r"a\.png: is empty"):
            files.read(path)
        path.write_text("Dear reader,\n" * 20)
        with pytest.raises(ValueError, match=r"a\.png: not a picture that can be read"):
            files.read(path)
        with pytest.raises(ValueError, match="is a folder, not a picture"):
            files.read(tmp_path)

    def test_postscript_is_not_run(self, tmp_path):
        """Pillow knows it, and would have Ghostscript run it."""
        path = tmp_path / "a.png"
        path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
        with pytest.raises(ValueError, match=r"a\.png: .*PostScript is a program"):
            files.read(path)

    def test_a_file_that_may_not_be_read(self, tmp_path, monkeypatch):
        files.write(tmp_path / "a.png", Picture(ramp()))

        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied", str(tmp_path / "a.png"))

        monkeypatch.setattr(Image, "open", refuse)
        with pytest.raises(PermissionError):
            files.read(tmp_path / "a.png")

    def test_too_many_pixels(self, tmp_path, monkeypatch):
        files.write(tmp_path / "a.png", Picture(ramp()))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ValueError, match="refused, too large"):
            files.read(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # Pillow would warn of these
        assert same(files.read(tmp_path / "a.png").pixels, ramp())

    def test_outputs(self, tmp_path, monkeypatch):
        files.check_output(tmp_path / "a.png", False)
        (tmp_path / "a.png").write_bytes(b"old")
        files.check_output(tmp_path / "a.png", True)
        for path, message in (
            (tmp_path / "a.png", "exists already; --overwrite replaces it"),
            (tmp_path / "a.gif", r"unknown file type; use one of \.png, \.jpg"),
            (tmp_path / "a", "unknown file type"),
            (tmp_path, "is a folder; name a file in it"),
            (tmp_path / "nowhere" / "a.png", "nowhere does not exist"),
        ):
            with pytest.raises(ValueError, match=message):
                files.check_output(path, False)
        monkeypatch.setattr("jaxcolor.image.files.os.access", lambda *args: False)
        with pytest.raises(ValueError, match="cannot be written to"):
            files.check_output(tmp_path / "b.png", False)

    def test_unknown_suffix_on_write(self, tmp_path):
        with pytest.raises(ValueError, match="unknown file type"):
            files.write(tmp_path / "a.gif", Picture(ramp()))
