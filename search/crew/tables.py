"""What the drivers of a study tell each other, in tables beside Optuna's.

The study's row, whose lock is the turn and whose counter numbers all changes; the drivers with their last signs of
life, by the database's clock; the trials that were claimed or changed; and when last nobody could give a sign of life.
"""

import sqlalchemy as sa

TABLES = sa.MetaData()
STUDIES = sa.Table(
    "autoclf_studies",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)
DRIVERS = sa.Table(
    "autoclf_drivers",
    TABLES,
    sa.Column("driver", sa.Text, primary_key=True),
    sa.Column("study", sa.Text, nullable=False, index=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("beat", sa.DateTime(timezone=True), nullable=False),
    sa.Column("stays", sa.Boolean, nullable=False),
)
TRIALS = sa.Table(
    "autoclf_trials",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True),
    sa.Column("driver", sa.Text),  # that has claimed it
    sa.Column("writer", sa.Text, nullable=False),  # the last one
    sa.Column("version", sa.BigInteger, nullable=False),  # of the last change
)
SILENCES = sa.Table(  # the last one of a study: nobody could give a sign of life, as the database was away
    "autoclf_silences",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("began", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended", sa.DateTime(timezone=True), nullable=False),
)
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('autoclf tables'))"  # to the end of the transaction
COUNT = """
    SELECT count(*) FROM trials JOIN studies ON studies.study_id = trials.study_id WHERE studies.study_name = :study
"""  # in Optuna's own tables, whose interface would load every trial
