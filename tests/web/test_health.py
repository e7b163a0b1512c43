from clusterdns.web.health import serve_health
from tests.web.client import asked


async def test_health_is_ok() -> None:
    async with asked(serve_health) as client, client.get("/health") as reply:
        assert (reply.status, await reply.text()) == (200, "OK")


async def test_other_paths_are_not_found() -> None:
    async with asked(serve_health) as client, client.get("/ready") as reply:
        assert (reply.status, await reply.text()) == (404, "404 page not found\n")
