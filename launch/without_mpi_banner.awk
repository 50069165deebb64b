# Passes mpirun's standard error on without its banners: blocks between two lines of dashes in which mpirun (prterun)
# explains that a process returned a status that is not zero. Lines come out as they come in.
function flush_block(  i) {
  for (i = 0; i < held; i++) print block[i]
  held = 0
  is_banner = 0
}
/^-{40,}$/ {
  block[held++] = $0
  if (held == 1) next
  if (is_banner) held = 0
  flush_block()
  fflush()
  next
}
held {
  block[held++] = $0
  if (/prterun|mpirun|PRTE/) is_banner = 1
  if (held > 40) flush_block()
  next
}
{ print; fflush() }
END { flush_block() }
