"""What a frozen network saw: the stored vectors, and copies that only they show.

May import: node, parallel, photos. Begin with `feature_store.py`.
"""
