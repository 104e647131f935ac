"""The parts of librdkafka that the tests use: a consumer, and the mock cluster.

read BROKERS TOPIC [NAME=VALUE...]   print each record as a line of JSON, from the first
count BROKERS TOPIC                  how many records it has
mock BROKERS TOPIC PARTITIONS        a cluster; prints its brokers, takes commands:
    errors API CODE...               the next answers to these requests have these errors
    down ID, up ID                   a broker goes and comes
    leader PARTITION ID              a partition has another leader
    rtt ID MILLISECONDS              a broker takes its time
"""

import ctypes
import glob
import json
import os
import sys
import time

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


def read(brokers, topic, *settings):
    config = {
        "bootstrap.servers": brokers,
        "group.id": "reader",
        "enable.auto.commit": False,
        "check.crcs": True,
        "log_level": 2,
        "reconnect.backoff.max.ms": 200,
        "fetch.wait.max.ms": 100,
    }
    config.update(setting.split("=", 1) for setting in settings)
    consumer = Consumer(config)
    while True:
        try:
            found = consumer.list_topics(topic, timeout=5).topics[topic].partitions
            if found:
                break
        except confluent_kafka.KafkaException:
            pass
        time.sleep(0.1)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in found])
    text = lambda value: (value or b"").decode("utf-8", "replace")
    while True:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        record = {
            "partition": message.partition(),
            "key": text(message.key()),
            "value": text(message.value()),
            "headers": {name: text(value) for name, value in message.headers() or []},
        }
        print(json.dumps(record), flush=True)


def count(brokers, topic):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "counter", "log_level": 2})
    total = 0
    for number in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)
        total += high - low
    print(total)


def library():
    folder = os.path.dirname(confluent_kafka.__file__) + ".libs"
    lib = ctypes.CDLL(glob.glob(folder + "/librdkafka*.so*")[0])
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in [
        ("conf_new", pointer, []),
        ("conf_set", number, [pointer, text, text, text, ctypes.c_size_t]),
        ("new", pointer, [number, pointer, text, ctypes.c_size_t]),
        ("mock_cluster_new", pointer, [pointer, number]),
        ("mock_cluster_bootstraps", text, [pointer]),
        ("mock_topic_create", number, [pointer, text, number, number]),
        ("mock_partition_set_leader", number, [pointer, text, number, number]),
        ("mock_broker_set_down", number, [pointer, number]),
        ("mock_broker_set_up", number, [pointer, number]),
        ("mock_broker_set_rtt", number, [pointer, number, number]),
        ("mock_push_request_errors_array", None, [pointer, ctypes.c_int16, ctypes.c_size_t, pointer]),
    ]:
        function = getattr(lib, "rd_kafka_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


def mock(count, topic, partitions):
    lib = library()
    error = ctypes.create_string_buffer(512)
    config = lib.rd_kafka_conf_new()
    lib.rd_kafka_conf_set(config, b"log_level", b"2", error, 512)
    cluster = lib.rd_kafka_mock_cluster_new(lib.rd_kafka_new(0, config, error, 512), int(count))
    topic = topic.encode()
    if int(partitions):
        assert lib.rd_kafka_mock_topic_create(cluster, topic, int(partitions), int(count)) == 0
    print(lib.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    for line in sys.stdin:
        command, *numbers = line.split()
        numbers = [int(number) for number in numbers]
        if command == "errors":
            api, codes = numbers[0], (ctypes.c_int * (len(numbers) - 1))(*numbers[1:])
            lib.rd_kafka_mock_push_request_errors_array(cluster, api, len(codes), codes)
        elif command == "leader":
            assert lib.rd_kafka_mock_partition_set_leader(cluster, topic, *numbers) == 0
        elif command == "rtt":
            assert lib.rd_kafka_mock_broker_set_rtt(cluster, *numbers) == 0
        else:
            assert getattr(lib, "rd_kafka_mock_broker_set_" + command)(cluster, *numbers) == 0
        print("done", flush=True)


if __name__ == "__main__":
    {"read": read, "count": count, "mock": mock}[sys.argv[1]](*sys.argv[2:])
