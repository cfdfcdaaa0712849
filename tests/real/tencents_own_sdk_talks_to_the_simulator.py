"""Tencent's own Python SDK takes the simulator for the API.

So what the exporter is tested against speaks the API's language as its authors write it: signature, envelope, field
names, times and errors. Listings and domains arrive as the SDK's own objects; a wrong key, a wrong id and a clock
that is an hour slow are refused with the API's codes, and a throttled call raises the API's error.
"""

import time
from unittest import mock

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.live.v20180801 import live_client, models

from harness import SECRET_ID, SECRET_KEY, Failed, check, run

SCENARIO = """
platform:
  domains: [{name: push.one.example.com}, {name: push.off.example.com, enabled: false}, {name: play.example.com, kind: play}]
"""


def client_of(simulator, secret_id=SECRET_ID, secret_key=SECRET_KEY):
    address = simulator.endpoint.removeprefix("http://")
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=address, reqTimeout=10))
    return live_client.LiveClient(credential.Credential(secret_id, secret_key), "ap-guangzhou", profile)


def events_request(since, until, **more):
    request = models.DescribeLiveStreamEventListRequest()
    form = "%Y-%m-%dT%H:%M:%SZ"
    request.StartTime, request.EndTime = (time.strftime(form, time.gmtime(t)) for t in (since, until))
    for name, value in {"PageNum": 1, "PageSize": 100, "IsAsc": 1, **more}.items():
        setattr(request, name, value)
    return request


def refused(call, code):
    """That `call` fails with the API's `code`."""
    try:
        call()
    except TencentCloudSDKException as error:
        check(error.get_code() == code, f"refused with {error.get_code()}, not {code}")
        check(error.get_request_id(), f"{code} without a RequestId")
        return
    raise Failed(f"not refused with {code}")


def test(stage):
    simulator = stage.simulator(SCENARIO)
    now = int(time.time())
    reason = "推流链路网络异常。"
    simulator.publish([
        {"domain": "push.one.example.com", "app": "live", "stream": f"房间 \"{n}\"", "start": now - 120 - n,
         "end": now - 60 - n, "reason": reason, "client_ip": "203.0.113.9"} for n in range(120)])
    client = client_of(simulator)

    pages = [client.DescribeLiveStreamEventList(events_request(now - 3600, now, PageNum=page)) for page in (1, 2)]
    check([page.TotalNum for page in pages] == [120, 120], f"TotalNum {[page.TotalNum for page in pages]}")
    rows = [row for page in pages for row in page.EventList]
    check(sorted(row.StreamName for row in rows) == sorted(f"房间 \"{n}\"" for n in range(120)), "not every row once")
    last = max(rows, key=lambda row: row.StreamEndTime)
    told = (last.DomainName, last.AppName, last.StopReason, last.Duration, last.ClientIp)
    check(told == ("push.one.example.com", "live", reason, 60, "203.0.113.9"), f"the row tells {told}")
    check(last.StreamEndTime == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 60)), last.StreamEndTime)
    one = client.DescribeLiveStreamEventList(events_request(now - 3600, now, StreamName='房间 "7"', IsStrict=1))
    check(one.TotalNum == 1 and one.EventList[0].StreamName == '房间 "7"', f"strict search finds {one.TotalNum}")

    domains = client.DescribeLiveDomains(models.DescribeLiveDomainsRequest())
    listed = {domain.Name: (domain.Type, domain.Status) for domain in domains.DomainList}
    check(listed == {"push.one.example.com": (0, 1), "push.off.example.com": (0, 0), "play.example.com": (1, 1)},
          f"domains {listed}")

    ask = events_request(now - 3600, now)
    refused(lambda: client_of(simulator, secret_key="another").DescribeLiveStreamEventList(ask),
            "AuthFailure.SignatureFailure")
    refused(lambda: client_of(simulator, secret_id="AKIDnobody").DescribeLiveStreamEventList(ask),
            "AuthFailure.SecretIdNotFound")
    with mock.patch("time.time", return_value=now - 3600):
        refused(lambda: client.DescribeLiveStreamEventList(ask), "AuthFailure.SignatureExpire")
    refused(lambda: client.DescribeLiveStreamEventList(events_request(now, now - 3600)), "InvalidParameterValue")
    simulator.control("fail-next", {"times": 1, "fault": "throttle"})
    refused(lambda: client.DescribeLiveStreamEventList(ask), "RequestLimitExceeded")
    print("the SDK lists 120 of 120 rows and 3 of 3 domains, and is refused with the API's codes 5 of 5 times")


if __name__ == "__main__":
    run(test)
