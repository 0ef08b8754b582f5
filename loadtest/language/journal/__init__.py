"""The journal of a run: events as JSON lines, the truth of it, written so that they survive the SIGKILL of any process.

One unbuffered `write(2)` per event (0.9 µs; never fsync on the audio loop). A full disk leaves no half line. A file is
locked while its writer lives, so a reader can wait for engines that are still deleting. A file without `RunFinished` is
truncated.
"""

from loadtest.language.journal.files import folder as folder
from loadtest.language.journal.files import has_last_word as has_last_word
from loadtest.language.journal.files import hold as hold
from loadtest.language.journal.files import is_free as is_free
from loadtest.language.journal.files import not_a_run as not_a_run
from loadtest.language.journal.files import path_of as path_of
from loadtest.language.journal.files import paths as paths
from loadtest.language.journal.files import run_of as run_of
from loadtest.language.journal.files import wait_until_closed as wait_until_closed
from loadtest.language.journal.files import writer_of as writer_of
from loadtest.language.journal.following import Follower as Follower
from loadtest.language.journal.following import Source as Source
from loadtest.language.journal.leftovers import Leftovers as Leftovers
from loadtest.language.journal.leftovers import leftovers as leftovers
from loadtest.language.journal.lines import JournalError as JournalError
from loadtest.language.journal.lines import PassedOver as PassedOver
from loadtest.language.journal.lines import check_schema as check_schema
from loadtest.language.journal.lines import decode as decode
from loadtest.language.journal.lines import encode as encode
from loadtest.language.journal.lines import raw_lines as raw_lines
from loadtest.language.journal.reading import JournalFile as JournalFile
from loadtest.language.journal.reading import batches as batches
from loadtest.language.journal.reading import beginning as beginning
from loadtest.language.journal.reading import journals as journals
from loadtest.language.journal.reading import merged as merged
from loadtest.language.journal.reading import read as read
from loadtest.language.journal.reading import read_run as read_run
from loadtest.language.journal.reading import words as words
from loadtest.language.journal.reading import words_of as words_of
from loadtest.language.journal.writing import Journal as Journal
from loadtest.language.journal.writing import first_line as first_line
