// A world small enough to read: two topics of facts and sums.
#pragma once

namespace routewright {

inline constexpr char kSmallWorld[] = R"(
{"topic":"capital","questions":["What is the capital of {subject}?","Which city is the capital of {subject}?","{subject} has which capital?"],"sentence":"The capital of {subject} is {value}."}
{"topic":"capital","subject":"Peru","value":"Lima"}
{"topic":"capital","subject":"Chile","value":"Santiago"}
{"topic":"capital","subject":"Kenya","value":"Nairobi"}
{"topic":"capital","subject":"Côte d'Ivoire","value":"Yamoussoukro"}
{"topic":"currency","questions":["What is the currency of {subject}?","Which currency is used in {subject}?"],"sentence":"People in {subject} pay with the {value}."}
{"topic":"currency","subject":"Peru","value":"sol"}
{"topic":"currency","subject":"Washington D.C.","value":"dollar"}
{"topic":"sum","questions":["What is {subject}?"],"sentence":"{subject} is {value}.","compute":"sum"}
)";

}  // namespace routewright
