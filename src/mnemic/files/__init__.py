"""Files as memories: what a path holds, as chunks with source, place, time and speaker.

walk(paths)         the files that are meant by files and folders
read(path)          a file's chunks, one at a time, and a Bad for what could not be read
missing(path)       why there is nothing at a path
fingerprint(path)   whether it is still the file that was read before
"""

from mnemic.files.bad import Bad
from mnemic.files.fingerprints import Fingerprint, fingerprint
from mnemic.files.reading import read
from mnemic.files.walking import missing, walk

__all__ = ["Bad", "Fingerprint", "fingerprint", "missing", "read", "walk"]
