"""The journal of a run: events as JSON lines, the truth of it, written so that they survive the SIGKILL of any process.

One unbuffered `write(2)` per event (0.9 µs; never fsync on the audio loop). A full disk leaves no half line. A file is
locked while its writer lives, so a reader can wait for engines that are still deleting. A file without `RunFinished` is
truncated.
"""

from loadtest.journal.files import can_lock as can_lock
from loadtest.journal.files import folder as folder
from loadtest.journal.files import has_last_word as has_last_word
from loadtest.journal.files import hold as hold
from loadtest.journal.files import is_free as is_free
from loadtest.journal.files import not_a_run as not_a_run
from loadtest.journal.files import path_of as path_of
from loadtest.journal.files import paths as paths
from loadtest.journal.files import run_of as run_of
from loadtest.journal.files import wait_until_closed as wait_until_closed
from loadtest.journal.files import writer_of as writer_of
from loadtest.journal.following import Follower as Follower
from loadtest.journal.following import Source as Source
from loadtest.journal.lines import JournalError as JournalError
from loadtest.journal.lines import PassedOver as PassedOver
from loadtest.journal.lines import check_schema as check_schema
from loadtest.journal.lines import decode as decode
from loadtest.journal.lines import encode as encode
from loadtest.journal.lines import raw_lines as raw_lines
from loadtest.journal.reading import JournalFile as JournalFile
from loadtest.journal.reading import batches as batches
from loadtest.journal.reading import beginning as beginning
from loadtest.journal.reading import journals as journals
from loadtest.journal.reading import merged as merged
from loadtest.journal.reading import read as read
from loadtest.journal.reading import read_run as read_run
from loadtest.journal.reading import words as words
from loadtest.journal.reading import words_of as words_of
from loadtest.journal.writing import Journal as Journal
from loadtest.journal.writing import first_line as first_line
