# SPDX-License-Identifier: BSD-3-Clause
"""Filter expressions of all kinds: this list and tests/data/expressions.txt."""
import os

import e2e

BUILT_IN = """
ip
ip6
arp
rarp
tcp
udp
icmp
icmp6
sctp
igmp
esp
ah
pim
vrrp
ip multicast
ip broadcast
ether broadcast
ether multicast
ip6 multicast
host 10.0.0.1
src host 192.168.1.1 or dst host 192.168.1.2
net 10.0.0.0/8
src net 192.168.0.0/16
dst net 172.16.0.0 mask 255.240.0.0
ip6 net fe80::/10
ip6 host ff02::1
port 53
src port 80
dst port 443
tcp port 80
udp port 53
portrange 1024-2000
tcp portrange 1-1023
not ip
not (tcp or udp)
tcp and not port 80
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
tcp[tcpflags] == tcp-syn
tcp[13] & 16 != 0 and tcp[2:2] > 1000
ip[0] & 0xf != 5
ip[6:2] & 0x1fff != 0
ip[6] & 0x20 != 0
ip[8] < 64
ip[2:2] > 500
ip proto 47
ip proto \\ospf
ip6 proto 58
ip6[6] == 17
ip6 protochain 6
ip protochain 17
icmp[icmptype] == icmp-echo
icmp[icmptype] == icmp-unreach or icmp[icmptype] == icmp-timxceed
icmp6[icmp6type] == icmp6-neighborsolicit
greater 200
less 64
len > 100 and len < 500
len % 2 == 1
ether proto 0x0800
ether proto 0x88cc
ether host ff:ff:ff:ff:ff:ff
ether[0] & 1 = 0
ether[12:2] > 1500
ether src 00:00:00:00:00:01
vlan
vlan 10
vlan and ip
vlan and vlan
ip or vlan and ip
mpls
mpls and ip
mpls 16
pppoes
pppoes and ip
pppoed
geneve
llc
stp
iso
isis
ipx
atalk
decnet
link[0] != 0
ip[60] = 1 or host 10.0.0.1
ip[len - 1] = 0
ip[ip[0] & 0xf] > 3
(ip[16] >> 4) & 0xf = 14
ether[len / 2] > 128
tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420
udp[4:2] - 8 > 100
ip[1] * 4 + 3 > 7
1 = 1
1 = 2
inbound
outbound
wlan type mgt
wlan type data
wlan host 00:00:00:00:00:00
type mgt subtype beacon
not broadcast and not multicast
gateway 10.0.0.1
host 10.0.0.0/8 
nonsense words here
(((tcp)))
tcp or udp or icmp and not net 10
port 25 or port 110 or port 143 or port 993 or port 995
ip6 and tcp port 80
ip and tcp[0:2] = 80
ah or esp or ip proto 51
"""


def expressions():
    """The built-in ones, some of which compile for few link types or none, and those of the file."""
    path = os.path.join(e2e.ROOT, "tests", "data", "expressions.txt")
    text = BUILT_IN
    if os.path.exists(path):
        with open(path) as file:
            text += file.read()
    found = [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(line for line in found if line and not line.startswith("#")))
