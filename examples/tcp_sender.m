function tcp_sender(count, port)
% Send frames from MATLAB to `sasnet-live serve`, or to napari with the source "another program (TCP)".
% docs/tcp.md describes the messages. In Octave: pkg install -forge instrument-control.
%
%     sasnet-live serve --out out.ome.tiff --once
%     >> tcp_sender(30, 27182)
if exist("OCTAVE_VERSION", "builtin"), pkg load instrument-control; end
t = tcpclient("127.0.0.1", port);
scene = uint16(4000 * rand(64, 128));  % your digitizer's frame, (lines, px of a line)
say(t, struct("type", "start", "shape", size(scene), "dtype", class(scene), "frames", count, ...
              "source", "tcp_sender.m", "replies", {{"metrics", "profile"}}, "may_wait", true), uint8([]));
for number = 0:count - 1
    frame = circshift(scene, number, 1);
    say(t, struct("type", "frame"), typecast(reshape(frame.', 1, []), "uint8"));  % line by line: hence the .'
end
say(t, struct("type", "end"), uint8([]));
reply.type = "";
while ~any(strcmp(reply.type, {"ended", "error"}))
    [reply, px] = hear(t);  % px of "profile": typecast(px, "single")
    fprintf("%s (%d bytes of px)\n", jsonencode(reply), numel(px));
end
end

function say(t, header, px)
text = unicode2native(jsonencode(header), "UTF-8");
write(t, [uint8('SNLF'), typecast(uint32([1, numel(text), numel(px)]), "uint8"), text, px], "uint8");
end

function [header, px] = hear(t)
sizes = double(typecast(get_bytes(t, 16), "uint32"));  % magic, version, bytes of JSON, bytes of px
header = jsondecode(native2unicode(get_bytes(t, sizes(3)), "UTF-8"));
px = get_bytes(t, sizes(4));
end

function bytes = get_bytes(t, count)
bytes = uint8([]);
if count > 0, bytes = uint8(reshape(read(t, count, "uint8"), 1, [])); end
end
