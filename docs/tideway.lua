-- SPDX-License-Identifier: Apache-2.0
--
-- Shows the clear part of Tideway's data packets in Wireshark and tshark (docs/protocol.md, "Packets"). What is behind it
-- is encrypted. Wireshark 3 or newer, nothing else:
--
--   tshark -X lua_script:docs/tideway.lua -r copy.pcapng
--   wireshark -X lua_script:docs/tideway.lua copy.pcapng
--
-- UDP packets from or to one of its ports are taken for Tideway's: by default the 64 from 7401 on, which gateways have.

local tideway = Proto("tideway", "Tideway")

local HEADER, DATA_HEADER, TAG = 20, 32, 16
local VERSION = 1
local DATA = 1
local HEAD_UNIT = 512

local types = { [0] = "PROBE", [1] = "DATA", [2] = "ACK", [3] = "CONTROL", [5] = "CLOSE" }

local fields = {
  first = ProtoField.bool("tideway.fixed_bit", "Fixed bit", 8, { "set", "clear" }, 0x80),
  version = ProtoField.uint8("tideway.version", "Version", base.DEC, nil, 0x70),
  type = ProtoField.uint8("tideway.type", "Type", base.DEC, types, 0x0F),
  key_epoch = ProtoField.uint8("tideway.key_epoch", "Key epoch (low 8 bits)", base.DEC),
  flow = ProtoField.uint16("tideway.flow", "Flow", base.DEC),
  connection = ProtoField.uint64("tideway.connection", "Destination connection id", base.HEX),
  worker = ProtoField.uint8("tideway.connection.worker", "Net worker", base.DEC),
  number = ProtoField.uint64("tideway.packet_number", "Packet number", base.DEC),
  slot = ProtoField.uint16("tideway.data.slot", "Transfer slot", base.DEC),
  flags = ProtoField.uint8("tideway.data.flags", "Flags", base.HEX),
  last = ProtoField.bool("tideway.data.flags.last_in_block", "Last in block", 8, nil, 0x01),
  resent = ProtoField.bool("tideway.data.flags.resent", "Resent", 8, nil, 0x02),
  app_limited = ProtoField.bool("tideway.data.flags.app_limited", "Application-limited", 8, nil, 0x04),
  ack_now = ProtoField.bool("tideway.data.flags.ack_now", "Ack now", 8, nil, 0x08),
  head = ProtoField.uint32("tideway.data.head_length", "Length of the block's head", base.UNIT_STRING, { " bytes" }),
  block = ProtoField.uint32("tideway.data.block", "Block", base.DEC),
  offset = ProtoField.uint32("tideway.data.offset", "Offset in the packed block", base.DEC),
  sealed = ProtoField.bytes("tideway.sealed", "Encrypted"),
  sealed_length = ProtoField.uint32("tideway.sealed_length", "Length before encryption", base.UNIT_STRING, { " bytes" }),
  tag = ProtoField.bytes("tideway.tag", "Tag"),
}
tideway.fields = fields

local malformed = ProtoExpert.new("tideway.malformed", "No packet of Tideway's", expert.group.MALFORMED, expert.severity.WARN)
tideway.experts = { malformed }

tideway.prefs.ports = Pref.range("UDP ports", "7401-7464", "Packets from or to these are taken for Tideway's", 65535)

-- Adds the fields that only DATA packets have, and returns what to say of them in one line.
local function dissect_data(buffer, tree)
  tree:add(fields.slot, buffer(20, 2))
  local flags = tree:add(fields.flags, buffer(22, 1))
  for _, flag in ipairs({ fields.last, fields.resent, fields.app_limited, fields.ack_now }) do
    flags:add(flag, buffer(22, 1))
  end
  tree:add(fields.head, buffer(23, 1), buffer(23, 1):uint() * HEAD_UNIT)
  tree:add(fields.block, buffer(24, 4))
  tree:add(fields.offset, buffer(28, 4))
  return string.format(" slot %d block %d offset %d", buffer(20, 2):uint(), buffer(24, 4):uint(), buffer(28, 4):uint())
end

function tideway.dissector(buffer, packet, root)
  local length = buffer:reported_length_remaining()
  if buffer:len() < HEADER or length < HEADER + TAG then return 0 end
  local first = buffer(0, 1):uint()
  local version, type = bit.rshift(bit.band(first, 0x70), 4), bit.band(first, 0x0F)
  local header = type == DATA and DATA_HEADER or HEADER
  packet.cols.protocol = "Tideway"
  local tree = root:add(tideway, buffer())
  tree:add(fields.first, buffer(0, 1))
  tree:add(fields.version, buffer(0, 1))
  tree:add(fields.type, buffer(0, 1))
  local is_known = first >= 0x80 and version == VERSION and types[type] ~= nil and buffer:len() >= header
  local is_whole = type ~= DATA or length > header + TAG and buffer(23, 1):uint() > 0  -- a payload, and a head
  if not (is_known and is_whole) then
    tree:add_proto_expert_info(malformed)
    packet.cols.info = "not a packet of version " .. VERSION
    return buffer:len()
  end
  tree:add(fields.key_epoch, buffer(1, 1))
  tree:add(fields.flow, buffer(2, 2))
  tree:add(fields.connection, buffer(4, 8)):add(fields.worker, buffer(4, 1))
  tree:add(fields.number, buffer(12, 8))
  local more = type == DATA and dissect_data(buffer, tree) or ""
  tree:add(fields.sealed_length, length - header - TAG):set_generated()
  if buffer:len() == length then  -- else the capture cut it short, and the tag is missing
    if length > header + TAG then tree:add(fields.sealed, buffer(header, length - header - TAG)) end
    tree:add(fields.tag, buffer(length - TAG, TAG))
  end
  packet.cols.info = string.format("%s flow %d number %s%s, %d bytes", types[type], buffer(2, 2):uint(),
                                   tostring(buffer(12, 8):uint64()), more, length - header - TAG)
  return buffer:len()
end

local ports = ""
local udp = DissectorTable.get("udp.port")

local function listen()
  if ports ~= "" then udp:remove(ports, tideway) end
  ports = tostring(tideway.prefs.ports)
  if ports ~= "" then udp:add(ports, tideway) end
end

tideway.init = function()
  if ports ~= tostring(tideway.prefs.ports) then listen() end
end
tideway.prefs_changed = listen
listen()
