-- Asks for lists of random users, from many connections; each may think before its next request.
-- wrk … -- USERS K MEAN_MILLISECONDS

local users, k, mean

function init(args)
  users, k, mean = tonumber(args[1]), args[2], tonumber(args[3])
  math.randomseed(0)
  if mean == 0 then delay = nil end
end

function delay()
  return math.floor(-mean * math.log(1 - math.random()))
end

function request()
  local path = string.format("/v1/users/user-%05d/recommendations?k=%s", math.random(users) - 1, k)
  return wrk.format("GET", path)
end
