from bfly.databases.nodb import Nodb
from bfly.testing.databases import DatabaseSuite


class TestNodb(DatabaseSuite):
    durable = False

    def open(self, place, runtime):
        return Nodb(place, runtime)
