"""One seed, one country: its place, season, weather and hour, and where the sun stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import asin, pi

import numpy as np
from numpy.typing import NDArray

from .noise import drawn

PLACES = ("mountains", "lake", "river", "forest", "desert", "coast", "village", "meadow")
SEASONS = ("winter", "spring", "summer", "autumn")
WEATHERS = ("clear", "cloudy", "fog", "rain", "snow")
TIMES = ("night", "dawn", "day", "dusk")
CAMERAS = ("still", "ride", "panorama")
WAYS = ("road", "track", "river")
CLIP_SECONDS = 4.0
DAY = 24.0  # hours

_REACH = 0.62  # of the sun's elevation, above and below the middle of its way
_SEASON = {"winter": -0.10, "autumn": -0.02, "spring": 0.05, "summer": 0.13}
NIGHT, LOW = -0.2, 0.16  # elevations: below the first it is night, from the second on it is day
_MARGIN = 0.04  # what is drawn keeps away from the borders between the times of day
_RIDE_PACE = 0.01  # hours a second: a day and a night on the road last forty minutes
_ELSEWHERE = {"still": "river", "ride": "lake", "panorama": "river"}  # what a camera never sees
_CHOICES = {"place": PLACES, "season": SEASONS, "weather": WEATHERS}


@dataclass(frozen=True)
class Vista:
    """A country and when it is seen. hour: at time 0; pace: hours that pass in a second.

    way: what a ride follows; speed: of the ride, in metres a second.
    """

    place: str
    season: str
    weather: str
    hour: float
    pace: float = 0.25
    seed: int = 0
    way: str = "road"
    speed: float = 8.0

    def __post_init__(self) -> None:
        for slot, names in _CHOICES.items():
            if getattr(self, slot) not in names:
                raise ValueError(
                    f"no {slot} {getattr(self, slot)!r}; choose from {', '.join(names)}"
                )

    @property
    def start(self) -> float:
        """Where along the country its middle lies, in heights of a picture."""
        return drawn(self.seed, 99) * 1000

    @property
    def winter(self) -> bool:
        return self.season == "winter"

    def hours(self, times: NDArray[np.floating]) -> NDArray[np.float64]:
        """Seconds (T,) -> hours since midnight (T,), which go on past 24."""
        return self.hour + self.pace * np.asarray(times, np.float64)

    def time_of_day(self, time: float = 0.0) -> str:
        """One of TIMES."""
        hour = float(self.hours(np.array([time]))[0])
        height = float(elevation(np.array([hour]), self.season)[0])
        if height < NIGHT:
            return "night"
        if height >= LOW:
            return "day"
        return "dawn" if hour % DAY < DAY / 2 else "dusk"


def elevation(hours: NDArray[np.floating], season: str) -> NDArray[np.float64]:
    """How high the sun stands: 0 at the horizon, about 0.7 at a summer's noon."""
    turn = 2 * pi * (np.asarray(hours, np.float64) - 6) / DAY
    return _REACH * np.sin(turn) + _SEASON[season]


def rising(season: str, height: float = 0.0) -> float:
    """The hour of the morning at which the sun reaches an elevation."""
    return 6 + DAY / (2 * pi) * asin((height - _SEASON[season]) / _REACH)


def places_of(camera: str) -> tuple[str, ...]:
    """What a camera can see: one that rides follows rivers, the others stand at lakes. Raises
    ValueError for an unknown camera."""
    if camera not in CAMERAS:
        raise ValueError(f"no camera {camera!r}; choose from {', '.join(CAMERAS)}")
    return tuple(place for place in PLACES if place != _ELSEWHERE[camera])


def draw_vista(
    seed: int, camera: str = "still", hour: str | float | None = None, **fixed: str
) -> Vista:
    """The country of a seed; `fixed` pins its place, season or weather, `hour` the hour at time 0
    or the time of day in the middle of a clip. Raises ValueError for what there is not."""
    places = places_of(camera)
    for slot, value in fixed.items():
        names = places if slot == "place" else _CHOICES.get(slot, ())
        if value not in names:
            raise ValueError(
                f"no {slot} {value!r} for camera={camera}; choose from {', '.join(names)}"
                if names else f"a vista has no {slot!r}; pin place, season, weather or hour"
            )  # fmt: skip
    place = fixed.get("place") or _one(seed, 1, places)
    season = fixed.get("season") or _season(seed, place)
    weather = fixed.get("weather") or _weather(seed, place, season)
    pace = {"still": 0.1 * 5 ** drawn(seed, 8), "ride": _RIDE_PACE, "panorama": 0.0}[camera]
    vista = Vista(place, season, weather, 12.0, pace, seed, _way(seed, place),
                  7 + 3 * drawn(seed, 9))  # fmt: skip
    return replace(vista, hour=_hour(vista, hour))


def _season(seed: int, place: str) -> str:
    """Deserts know no winter, unless one asks for it."""
    return _one(seed, 2, SEASONS[1:] if place == "desert" else SEASONS)


def _weather(seed: int, place: str, season: str) -> str:
    odds = {"clear": 0.44, "cloudy": 0.22, "fog": 0.1, "rain": 0.14, "snow": 0.0}
    if season == "winter":
        odds |= {"rain": 0.0, "snow": 0.24}
    if place == "desert":
        odds |= {"fog": 0.0, "rain": 0.0, "snow": 0.0}
    at = drawn(seed, 3) * sum(odds.values())
    for name, share in odds.items():
        at -= share
        if at < 0:
            return name
    return "clear"


def _way(seed: int, place: str) -> str:
    if place == "river":
        return "river"
    tracks = {"forest": 0.6, "meadow": 0.6, "village": 0.4, "desert": 0.4}
    return "track" if drawn(seed, 4) < tracks.get(place, 0.2) else "road"


def _hour(vista: Vista, asked: str | float | None) -> float:
    """The hour at time 0, such that the middle of a clip has the time of day that was drawn."""
    if isinstance(asked, float | int):
        return float(asked)
    if asked is not None and asked not in TIMES:
        raise ValueError(f"no hour {asked!r}; choose from {', '.join(TIMES)}, or a number to 24")
    time = asked or _one(vista.seed, 5, ("night", "dawn", "day", "day", "dusk"))
    part, season = drawn(vista.seed, 6), vista.season
    if time in ("dawn", "dusk"):
        height = NIGHT + _MARGIN + part * (LOW - NIGHT - 2 * _MARGIN)
        hour = rising(season, height)
        hour = DAY - hour if time == "dusk" else hour
    elif time == "day":
        first = rising(season, LOW + _MARGIN)
        hour = first + part * (DAY - 2 * first)
    else:
        last = rising(season, NIGHT - _MARGIN)
        hour = (DAY - last + part * 2 * last) % DAY
    return hour - vista.pace * CLIP_SECONDS / 2


def _one(seed: int, key: int, choices: tuple[str, ...]) -> str:
    return choices[int(drawn(seed, key) * len(choices))]
