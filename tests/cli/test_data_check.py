"""`dln data check`: what it says of videos that break and of videos that are odd."""

import av
import numpy as np
from av.video.stream import VideoStream


def film(path, **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for place in range(20):
            noise = np.random.default_rng(place).integers(0, 256, (64, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
            frame.pts = place
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_videos_that_break_and_that_are_odd(dln, tmp_path):
    film(tmp_path / "sound.mp4")
    film(tmp_path / "lines.mp4", **{"x264-params": "tff=1"})
    data = film(tmp_path / "broken.mp4").read_bytes()
    middle = data.index(b"mdat") + len(data) // 2
    (tmp_path / "broken.mp4").write_bytes(data[:middle] + bytes(20_000) + data[middle + 20_000 :])
    rows = [f"{name}.mp4,a cat" for name in ("sound", "lines", "broken")]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *rows]))
    found = dln("data", "check", str(tmp_path), "--json")
    assert (found.code, found.json["usable"], found.json["total_s"]) == (0, 2, 4.0)
    (problem,) = found.json["problems"]
    assert (problem["file"], problem["kind"]) == ("broken.mp4", "unreadable")
    (note,) = found.json["notes"]
    assert note["file"] == "lines.mp4"
    assert "interlaced" in note["text"]
    shown = " ".join(dln("data", "check", str(tmp_path)).out.split())
    assert "2 clips, 4.0 s, can be used. Skipped 1 of 3: 1 unreadable." in shown
    assert "lines.mp4 note it is interlaced" in shown
    assert dln("data", "check", str(tmp_path), "--quiet").out.split() == ["broken.mp4"]
