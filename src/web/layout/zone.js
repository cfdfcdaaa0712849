// Times in the zone of whoever looks, where the address names none. Everything works without this file.
"use strict";
{
  const address = new URL(location.href);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!address.searchParams.has("tz") && zone && zone !== "UTC") {
    address.searchParams.set("tz", zone);
    location.replace(address);
  }
}
