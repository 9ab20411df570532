"""`carbrand serve`: a local page and a JSON endpoint that name the brand of a photo.

Begin with `server.py`. A request passes `guard.py`, its photo comes in through `upload.py`, waits
for a thread in `workers.py`, and is answered by `answer.py`. Nothing is written to the disk.
"""
