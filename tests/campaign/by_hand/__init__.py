"""The oracle's rating: an agreement's bill computed anew from all its usage, in plain loops over fractions.

It shares no code with the product's rating, carries no state from one question to the next, and
reads as the rules do (design.md §5). Usage is never negative here.
"""
