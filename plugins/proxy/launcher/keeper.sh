# Runs the launcher, and runs it again when it was killed. Meanwhile it holds the listening sockets (descriptors 3 and
# 4), takes a megabyte, and needs no kernel. A launcher that ends by itself ends it first; without the folder there is
# no work.
export KEEPER_PID=$$
exec 2>/dev/null # where a shell reports what was killed; the log is lines of JSON
until (exec "$@" 2>&1) || [ ! -d "$PWD" ]; do sleep 0.2 || sleep 1; done
