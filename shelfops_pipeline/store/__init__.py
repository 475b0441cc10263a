"""The warehouse: tables, migrations, reads and writes, and the embedded server of a laptop.

A leaf room: the API imports it, so it depends on nothing heavier than SQLAlchemy, psycopg and numpy.
"""
