"""What a backend can break in its rooms."""

from typing import Final

from tests.judging.broken_backends import ends_in_rooms, sound_in_rooms, talk_in_rooms

BREAKAGES: Final = (*talk_in_rooms.BREAKAGES, *sound_in_rooms.BREAKAGES, *ends_in_rooms.BREAKAGES)
