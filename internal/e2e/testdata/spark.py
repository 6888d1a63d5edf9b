"""One Spark session for a whole run: it takes ten seconds to start.

SLUICE_SPARK_JARS names the folder with the jars of delta-spark; without it there is no
Spark. Compilers are kept small, because most of what a test asks is asked once.
"""
import functools
import glob
import os
import tempfile
from datetime import datetime, timezone

from rows import digest

JARS = glob.glob(os.path.join(os.environ.get("SLUICE_SPARK_JARS", "/nowhere"), "*.jar"))


@functools.cache
def session():
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    scratch = tempfile.mkdtemp(prefix="sluice-spark-")
    settings = {
        "spark.jars": ",".join(JARS),
        "spark.driver.memory": "1500m",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": scratch,
        "spark.sql.warehouse.dir": os.path.join(scratch, "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.default.parallelism": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    }
    builder = SparkSession.builder.master("local[1]").appName("sluice")
    for key, value in settings.items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    started.sparkContext.setLogLevel("OFF")
    return started


def stop() -> None:
    """Ends Spark, if it was started, and waits until its scratch files are gone."""
    if session.cache_info().currsize:
        gateway = session().sparkContext._gateway
        session().stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()


def sql(text: str):
    return session().sql(text).collect()


def log_of(path: str):
    return session()._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session()._jsparkSession, path)


def rows(frame) -> str:
    return digest(frame.columns, frame.collect())


class Spark:
    def frame(self, path, **options):
        return session().read.format("delta").options(**options).load(path)

    def tip(self, path):
        return log_of(path).update(False, session()._jvm.scala.Option.empty(), session()._jvm.scala.Option.empty()).version()

    def read(self, path, version):
        # The tip without travelling costs a third: its state is at hand.
        options = {} if version == self.tip(path) else {"versionAsOf": version}
        return rows(self.frame(path, **options))

    def read_at(self, path, ms):
        text = datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S") + f".{ms % 1000:03}"
        return rows(self.frame(path, timestampAsOf=text))

    def version_at(self, path, ms):
        jvm = session()._jvm
        # As a query with TIMESTAMP AS OF asks, but later than the tip is the tip.
        return log_of(path).history().getActiveCommitAtTime(
            jvm.java.sql.Timestamp(ms), jvm.scala.Option.empty(), True, True, False).version()

    def changes(self, path, first, last):
        return rows(session().sql(f"select * from table_changes('delta.`{path}`', {first}, {last})"))

    def about(self, path):
        """Everything that the log says of the table itself, and the ids of rows."""
        detail = session().sql(f"describe detail delta.`{path}`").collect()[0].asDict()
        for local in "location", "lastModified":
            del detail[local]
        frame = self.frame(path)
        ids = "no row ids"
        if detail["properties"].get("delta.enableRowTracking") == "true":
            ids = rows(frame.select("*", "_metadata.row_id", "_metadata.row_commit_version"))
        return repr(sorted(detail.items())) + frame.schema.json() + ids

    def history(self, path):
        return rows(session().sql(f"describe history delta.`{path}`"))
