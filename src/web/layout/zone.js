// The records in the zone of whoever looks, where the address names none. Everything works without this file.
"use strict";
{
  const address = new URL(location.href);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const has_times = address.pathname.endsWith("/disconnects");
  if (has_times && !address.searchParams.has("tz") && zone && zone !== "UTC") {
    address.searchParams.set("tz", zone);
    location.replace(address);
  }
}
