"""Many photos on the command line: which are meant, a table of them, folders of them by brand.

Begin with `found_photos.find_photos`. `predictions_table` and `brand_folders` write what was
predicted.
"""
